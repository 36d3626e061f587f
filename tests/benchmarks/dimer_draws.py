"""New water dimers, drawn as the published ones seem to be.

Those fall into three families: stiff molecules of one shape in all orientations; molecules that vibrate, less than
2.7 Å apart; and the same farther apart. Shapes do not depend on the neighbour (half of the molecules are structures of
the monomers' set), and orientations follow the interaction energy like a Boltzmann weight. So a new dimer takes its two
shapes and its O-O distance from three published ones of a family, with a little noise, and an orientation of many by
its weight. As many new dimers come nearly as close to the published ones as those do to each other
(`dimer_levels.py`).
"""

import os
from pathlib import Path

import ase.io
import numpy as np
from ase.units import Hartree
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

SYMBOLS = ["O", "H", "H", "O", "H", "H"]
DIMERS, MONOMERS = "dielectric/water_dimer_train.xyz", "dielectric/water_monomer_train.xyz"
#: Share of the new dimers, and kT of the orientations in eV: interaction energies are spread about as the published
#: ones are. Stiff ones lie closest and have the largest errors, so they are more than the published tenth.
FAMILIES = {"near": (0.6, 0.13), "far": (0.2, 0.3), "stiff": (0.2, 2.0)}
#: Differences of O-H bonds up to which two molecules are of one shape, Å, and O-O distance of the near ones, Å.
ALIKE, NEAR = 1e-3, 2.7
#: Noise of bonds and O-O distances, Å, and of angles, degrees.
NOISE, BEND_NOISE = 0.01, 1.0
#: Orientations to choose from, and the closest that H comes to O or H of the other molecule, Å.
ORIENTATIONS, CLOSEST = 256, 1.2
#: Decays of the exponentials of all distances between molecules, 1/Å, and degree of the polynomial of a molecule.
DECAYS, DEGREE = (0.3, 0.6, 1.0, 1.7, 2.5, 3.5), 6
SEED = 1


def read(name):
    """Positions (structures, atoms, 3) in Å and energies in eV."""
    images = ase.io.read(Path(os.environ["ASE_LODE_DATA"]) / name, ":")
    return (np.array([atoms.positions for atoms in images]),
            Hartree * np.array([float(atoms.info["potential"]) for atoms in images]))


def shapes(molecules):
    """Both O-H bonds in Å and the angle in degrees, (molecules, 3)."""
    first, second = molecules[:, 1] - molecules[:, 0], molecules[:, 2] - molecules[:, 0]
    lengths = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    cosines = np.einsum("ia,ia->i", first, second) / np.prod(lengths, axis=0)
    return np.stack([*lengths, np.degrees(np.arccos(np.clip(cosines, -1, 1)))], axis=1)


def molecule(shape):
    """O, H, H of a shape, O at the origin."""
    angle = np.radians(shape[2])
    return np.array([[0, 0, 0], [shape[0], 0, 0], [shape[1] * np.cos(angle), shape[1] * np.sin(angle), 0]])


def families(positions):
    """Numbers of the dimers in each."""
    first, second = (np.sort(shapes(part)[:, :2], axis=1) for part in (positions[:, :3], positions[:, 3:]))
    stiff = abs(first - second).max(axis=1) < ALIKE
    near = np.linalg.norm(positions[:, 3] - positions[:, 0], axis=1) <= NEAR
    found = {"near": near & ~stiff, "far": ~near & ~stiff, "stiff": stiff}
    return {name: np.flatnonzero(inside) for name, inside in found.items()}


class Interaction:
    """Energy between two molecules: exponentials of all distances, fitted along with a polynomial of each molecule.

    It differs from coupled cluster by less than the kT of the orientations.

    Parameters
    ----------
    dimers, monomers : tuple of array
        Positions and energies of each.
    """

    def __init__(self, dimers, monomers):
        pairs, alone = self._pairs(dimers[0]), self._alone
        rows = np.vstack([np.hstack([alone(dimers[0][:, :3]) + alone(dimers[0][:, 3:]), pairs]),
                          np.hstack([alone(monomers[0]), np.zeros((len(monomers[0]), pairs.shape[1]))])])
        self._weights = np.linalg.lstsq(rows, np.concatenate([dimers[1], monomers[1]]))[0][-pairs.shape[1]:]

    def __call__(self, dimers):
        return self._pairs(dimers) @ self._weights

    @staticmethod
    def _pairs(dimers):
        apart = np.linalg.norm(dimers[:, :3, None] - dimers[:, None, 3:], axis=-1)
        waves = np.exp(-np.multiply.outer(DECAYS, apart - 2))
        oxygens, hydrogens = waves[:, :, 0, 0], waves[:, :, 1:, 1:].sum(axis=(-1, -2))
        mixed = waves[:, :, 0, 1:].sum(axis=-1) + waves[:, :, 1:, 0].sum(axis=-1)
        return np.concatenate([oxygens, mixed, hydrogens]).T

    @staticmethod
    def _alone(molecules):
        first, second, angle = (shapes(molecules) - [1, 1, 104]).T * [[1], [1], [0.02]]
        return np.stack([(first + second)**i * (first - second) ** (2 * j) * angle**k for i in range(DEGREE + 1)
                         for j in range((DEGREE - i) // 2 + 1) for k in range(DEGREE - i - 2 * j + 1)], axis=1)


class Draws:
    """The new dimers by their numbers; the same ones from the same published dimers.

    Parameters
    ----------
    dimers, monomers : tuple of array
        Positions and energies of each, as `read` gives them.
    """

    def __init__(self, dimers, monomers):
        positions = dimers[0]
        self.interaction = Interaction(dimers, monomers)
        self._apart = np.linalg.norm(positions[:, 3] - positions[:, 0], axis=1)
        self._shapes = np.stack([shapes(positions[:, :3]), shapes(positions[:, 3:])], axis=1)
        self._families = families(positions)

    def __getitem__(self, number):
        """Positions, (6, 3)."""
        rng = np.random.default_rng((SEED, number))
        name = rng.choice(list(FAMILIES), p=[share for share, _ in FAMILIES.values()])
        while True:
            candidates = self._candidates(rng, self._families[name])
            if len(candidates):
                energies = self.interaction(candidates)
                weights = np.exp((energies.min() - energies) / FAMILIES[name][1])
                return candidates[rng.choice(len(candidates), p=weights / weights.sum())]

    def _candidates(self, rng, family):
        """Two molecules at a distance in many orientations, without those that overlap."""
        apart = self._apart[rng.choice(family)] + NOISE * rng.standard_normal()
        first, second = (molecule(self._shapes[rng.choice(family), rng.integers(2)]
                                  + [NOISE, NOISE, BEND_NOISE] * rng.standard_normal(3)) for _ in range(2))
        turns = Rotation.random(2 * ORIENTATIONS, rng=rng).as_matrix()
        turned = np.einsum("nij,kj->nki", turns[:ORIENTATIONS], second) + apart * turns[ORIENTATIONS:, None, :, 0]
        candidates = np.concatenate([np.broadcast_to(first, turned.shape), turned], axis=1)
        closest = np.array([cdist(one[:3], one[3:]).ravel()[1:].min() for one in candidates])
        return candidates[closest > CLOSEST]
