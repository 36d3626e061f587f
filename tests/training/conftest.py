"""A small stand-in for features: Gaussians of pair distances, with derivatives, in two groups of scales."""

from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ase_lode.neighbors import NeighborList
from ase_lode.system import CHEMICAL_SYMBOLS, System

CUTOFF = 5.0
#: A network that trains in seconds.
TINY_HEAD = {"type": "network", "channels": 16, "strengths": 2, "hidden": [8], "steps": 24, "batch_atoms": 9,
             "averaged_steps": 5}


class PairGaussians:
    """x_(i, b k) = Σ_{j of element b} exp(-(r_ij - c_k)²/2w²) f_c(r_ij), summed by the element of i."""

    group_names = ("density x density", "density x field1")

    def __init__(self, elements, n_radial=8):
        self.numbers = np.array([CHEMICAL_SYMBOLS.index(e) for e in elements])
        self.centres = np.linspace(0.8, CUTOFF, n_radial)
        self.n_features = len(elements) * n_radial
        self.feature_groups = np.tile((self.centres > 3.0).astype(int), len(elements))

    def rows(self, system, forces=True, stress=True, n_threads=1):
        pairs = NeighborList(CUTOFF).pairs(system, CUTOFF)
        width, r = self.centres[1] - self.centres[0], pairs.distances[:, None]
        cut, slope = np.cos(np.pi * r / (2 * CUTOFF)) ** 2, -np.pi / (2 * CUTOFF) * np.sin(np.pi * r / CUTOFF)
        bell = np.exp(-((r - self.centres) ** 2) / (2 * width**2))
        value = bell * cut
        derivative = bell * slope - bell * cut * (r - self.centres) / width**2
        kind = np.argmax(system.numbers[:, None] == self.numbers, axis=1)
        block = kind[pairs.i] * len(self.numbers) + kind[pairs.j]
        shape = (len(self.numbers) ** 2, len(self.centres))
        energy, gradient, virial = np.zeros(shape), np.zeros((len(system), 3, *shape)), np.zeros((3, 3, *shape))
        np.add.at(energy, block, value)
        pull = derivative[:, None, :] * (pairs.vectors / r)[:, :, None]
        for p in range(len(block)):
            gradient[pairs.j[p], :, block[p]] += pull[p]
            gradient[pairs.i[p], :, block[p]] -= pull[p]
            virial[:, :, block[p]] += pairs.vectors[p][:, None, None] * pull[p]
        virial = virial.reshape(3, 3, -1)
        voigt = np.stack([(virial[a, b] + virial[b, a]) / 2
                          for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))])
        gradient = gradient.reshape(3 * len(system), -1)
        return SimpleNamespace(energy=energy.ravel(), gradient=gradient if forces else None,
                               virial=voigt if stress else None)


@pytest.fixture
def pair_gaussians():
    return PairGaussians


@pytest.fixture
def make_systems():
    """Random clusters (isolated or periodic) of O and H without close contacts."""
    def make(count, atoms=6, periodic=False, seed=0):
        rng = np.random.default_rng(seed)
        systems = []
        while len(systems) < count:
            numbers = rng.choice([1, 8], atoms)
            positions = rng.uniform(0, 4, (atoms, 3))
            cell = 5 * np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3))
            gaps = np.linalg.norm(positions[:, None] - positions, axis=-1) + 9 * np.eye(atoms)
            if gaps.min() > 0.8:
                systems.append(System(numbers, positions, cell if periodic else np.eye(3), np.full(3, periodic)))
        return systems

    return make


@pytest.fixture
def tiny_network(tmp_path):
    """A run of seconds: water with EMT's numbers."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(12):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        frames.append(atoms)
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    return {"model": {"density": {"cutoff": 3.0, "max_radial": 3, "max_angular": 2},
                      "fields": [{"exponent": 1, "max_angular": 1, "sources": "learned"}], "head": TINY_HEAD,
                      "baseline": {"allow_rank_deficient": True}},
            "data": {"train": {"file": str(tmp_path / "train.xyz")}, "validation": {"fraction": 0.34}},
            "output": {"name": "tiny", "directory": str(tmp_path / "out"), "report": "html"}}
