"""A flexible H2O over a Li(100) slab whose upper layer moves: PBE energies and forces for dynamics on the surface.

Usage (three to six minutes of one idle core per batch; interrupted, run it again)::

    apt-get install libxc-dev libopenblas-dev && CC=g++ CXX=g++ pip install gpaw gpaw-data pyscf
    OMP_NUM_THREADS=1 python lithium_water.py

A label is the sum of three: the interaction, as `lithium.py` computes it; the slab, at both k-points of the 2 x 2 x 1
set that time reversal leaves; and the molecule by PySCF, since on GPAW's real-space grid its own forces err by 1 eV/Å
(in the interaction they cancel). The interaction's one k-point breaks the square's symmetry where the surface is
rattled, by 1 meV and 4 meV/Å. Zero are the slab of `lithium.py` and the molecule of `ase.build`, far apart.
"""

from functools import cache, partial
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import Bohr, Hartree
from batches import fill, random_of
from lithium import ALONG, BOTTOM, K_POINTS, LATTICE, SLAB, SPACING, calculated, evaluated, in_cell, slab

METHOD = "PBE; interaction and slab LCAO, GPAW; molecule def2-TZVPD, PySCF"
BOTH_K_POINTS = [[0.25, 0.25, 0], [0.25, -0.25, 0]]
BASIS = "def2-tzvpd"
RIGID = Path(__file__).resolve().parent.parent / "paper" / "lithium" / "lithium_pbe.extxyz.gz"
#: What `lithium_water_visit.py` wrote: a group for each run of dynamics.
VISITED = Path(__file__).resolve().parent / "lithium_water_visited.extxyz"
#: Distances at which a molecule touches Li (Å), each times a random factor between the two.
CONTACT, SQUEEZE = {"O": 1.9, "H": 1.8}, (0.9, 1.05)
#: Displacements (Å, Gaussian): of the atoms of the molecule, and of the upper layer, by turns.
BENT, RATTLED = 0.06, (0.0, 0.1, 0.2, 0.05, 0.15)
#: Steps of the grid above contact; above the height of a structure that was visited.
RANDOM_STEPS, VISITED_STEPS = (0, 1, 2, 4, 8), (0, 2)
TURNS, RIGID_TURNS, MOLECULE_TURNS, MOLECULES = 13, 20, 4, 10


@cache
def molecule_zero():
    """Return the energy (eV) of the molecule of `ase.build`."""
    return isolated(molecule("H2O"))[0]


def isolated(atoms):
    """Return energy (eV) and forces (eV/Å) of a molecule alone."""
    from pyscf import dft, gto

    mol = gto.M(atom=[(a.symbol, a.position) for a in atoms], basis=BASIS, verbose=0)
    field = dft.RKS(mol, xc="PBE")
    field.grids.level = 5
    field.conv_tol = 1e-10
    energy = field.kernel()
    gradient = field.nuc_grad_method()
    gradient.grid_response = True
    return energy * Hartree, -gradient.kernel() * Hartree / Bohr


@cache
def slab_zero():
    """Return energy (eV) and forces (eV/Å) of the ideal slab at both k-points."""
    return evaluated(calculated(slab(), k_points=BOTH_K_POINTS))


def labelled(surface, water, steps, **info):
    """Return the molecule at several heights, the surface without it and the molecule alone.

    Parameters
    ----------
    surface, water : Atoms
    steps : sequence of int
        Steps of the grid by which to lift the molecule.
    """
    bare, lone = calculated(surface, k_points=K_POINTS), calculated(in_cell(water.copy()))
    slab_energy, slab_forces = evaluated(calculated(surface, ((bare, 0, 0),), BOTH_K_POINTS))
    slab_energy -= slab_zero()[0]
    own, own_forces = isolated(water)
    own -= molecule_zero()
    frames = []
    for step in steps:
        atoms = in_cell(surface + water)
        atoms.positions[SLAB:, 2] += step * SPACING
        energy, forces = interaction(atoms, bare, lone, step)
        forces[:SLAB] += slab_forces
        forces[SLAB:] += own_forces
        frames.append(frame(atoms, energy + slab_energy + own, forces, **info))
    frames.append(frame(surface, slab_energy, slab_forces, **(info | {"config_type": "slab"})))
    frames.append(frame(Atoms(water.numbers, water.positions), own, own_forces, **(info | {"config_type": "molecule"})))
    return frames


def interaction(atoms, bare, lone, step):
    """Return what energy (eV) and forces (eV/Å) differ by from those of the parts with each other's functions."""
    energy, forces = evaluated(calculated(atoms, ((bare, 0, 0), (lone, SLAB, step)), K_POINTS))
    for calc, here in (
        (calculated(atoms, ((bare, 0, 0),), K_POINTS, setups=dict.fromkeys("HO", "ghost")), slice(None)),
        (calculated(atoms, ((lone, SLAB, step),), setups={"Li": "ghost"}, nbands=10), slice(None)),
    ):
        part_energy, part_forces = evaluated(calc)
        energy -= part_energy
        forces[here] -= part_forces
    forces[SLAB] -= forces.sum(axis=0)  # O errs most on the grid, by up to 0.1 eV/Å in contact
    return energy, forces


def frame(atoms, energy, forces, **info):
    """Return the structure with its labels."""
    stored = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    stored.calc = SinglePointCalculator(stored, energy=round(energy, 6), forces=forces.round(5) + 0.0)
    stored.info.update(info, method=METHOD)
    return stored


def placed(group, turn):
    """Return one bent molecule in one orientation over one rattled surface; every other one has its O down."""
    rng, surface, water = random_of(group), slab(), molecule("H2O")
    upper = surface.positions[:, 2] > BOTTOM + 0.1
    surface.positions[upper] += RATTLED[turn % len(RATTLED)] * rng.normal(size=(upper.sum(), 3))
    water.positions += BENT * rng.normal(size=(3, 3))
    if turn % 2:
        water.euler_rotate(*rng.uniform(0, 360, size=3))
    else:  # O of `ase.build` is above its H
        water.euler_rotate(rng.uniform(0, 360), 180 + rng.normal(scale=40), rng.uniform(0, 360))
    water.positions[:, :2] += rng.uniform(0, ALONG * LATTICE, size=2) - water.positions[0, :2]
    water.positions[:, 2] += touching(surface, water, rng.uniform(*SQUEEZE))
    surface.positions, water.positions = surface.positions.round(5), water.positions.round(5)
    return labelled(surface, water, RANDOM_STEPS, config_type="random", group=group)


def touching(surface, water, squeeze):
    """Return how far to lift a molecule (Å) for its first contact with the surface."""
    lifts = []
    for atom in water:
        across = surface.positions[:, :2] - atom.position[:2]
        across -= ALONG * LATTICE * np.round(across / (ALONG * LATTICE))
        room = (squeeze * CONTACT[atom.symbol]) ** 2 - (across**2).sum(axis=1)
        tops = surface.positions[room > 0, 2] + np.sqrt(room[room > 0])
        lifts.append(tops.max(initial=-np.inf) - atom.position[2])
    return max(lifts)


def visited(group):
    """Return the structures of a run of dynamics, each also with its molecule lifted."""
    frames = []
    for atoms in ase.io.iread(VISITED):
        if atoms.info["group"] == group:
            surface, water = in_cell(atoms[:SLAB]), Atoms(atoms.numbers[SLAB:], atoms.positions[SLAB:])
            frames += labelled(surface, water, VISITED_STEPS, config_type="visited", group=group)
    return frames


def rigid(group, curve):
    """Return one curve of `lithium.py` with slab and molecule added to their interaction."""
    frames = [atoms for atoms in ase.io.read(RIGID, ":") if atoms.info["group"] == curve]
    own, own_forces = isolated(frames[0][SLAB:])  # at all heights
    result = []
    for atoms in frames:
        forces = atoms.get_forces()
        forces[SLAB] -= forces.sum(axis=0)
        forces[:SLAB] += slab_zero()[1]
        forces[SLAB:] += own_forces
        energy = atoms.get_potential_energy() + own - molecule_zero()
        result.append(frame(atoms, energy, forces, config_type="rigid", group=group))
    return result


def molecules(group):
    """Return bent molecules alone."""
    rng, frames = random_of(group), []
    for number in range(MOLECULES):
        water = molecule("H2O")
        water.positions += BENT * (1 + number % 3) * rng.normal(size=(3, 3)) / 2
        water.euler_rotate(*rng.uniform(0, 360, size=3))
        water.positions = water.positions.round(5)
        energy, forces = isolated(water)
        frames.append(frame(water, energy - molecule_zero(), forces, config_type="molecule", group=group))
    return frames


def batches():
    """Return the batches by group."""
    work = {f"random-{turn}": partial(placed, f"random-{turn}", turn) for turn in range(TURNS)}
    work |= {f"rigid-{turn}": partial(rigid, f"rigid-{turn}", f"H2O-{turn}") for turn in range(RIGID_TURNS)}
    work |= {f"molecules-{turn}": partial(molecules, f"molecules-{turn}") for turn in range(MOLECULE_TURNS)}
    if VISITED.exists():
        work |= {atoms.info["group"]: partial(visited, atoms.info["group"]) for atoms in ase.io.iread(VISITED)}
    return work


if __name__ == "__main__":
    fill("lithium_water.extxyz.gz", batches())
