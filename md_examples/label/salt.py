"""Bulk rock salt in cells of 16 atoms, strained and rattled, with GFN1-xTB: energies, forces, stress, charges.

Usage (less than a minute)::

    OMP_NUM_THREADS=1 python salt.py
"""

from functools import partial

import numpy as np
from ase.build import bulk
from batches import fill, random_of
from labels import label

LEVEL = "GFN1-xTB"
PROPERTIES = ("energy", "forces", "stress", "charges")
#: Cubic lattice constant (Å) near this level's minimum for this cell.
LATTICE = 5.52
#: Linear scalings of the perfect crystal, for an equation of state.
SCALINGS = np.linspace(0.95, 1.05, 8)


def perfect(scaling=1.0):
    """Return 2 x 2 x 2 primitive cells."""
    return bulk("NaCl", "rocksalt", a=LATTICE * scaling) * (2, 2, 2)


def volumes(group):
    """Return the perfect crystal at several volumes."""
    return [label(perfect(scaling), LEVEL, PROPERTIES, config_type="volumes", group=group) for scaling in SCALINGS]


def disordered(group):
    """Return 8 crystals with a random strain (2 % per component) and random displacements up to 0.2 Å rms."""
    random, frames = random_of(group), []
    for displacement in np.linspace(0.02, 0.2, 8):
        atoms = perfect(random.uniform(0.97, 1.03))
        strain = random.normal(scale=0.02, size=(3, 3))
        atoms.set_cell(atoms.cell @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += random.normal(scale=displacement / np.sqrt(3), size=atoms.positions.shape)
        frames.append(label(atoms, LEVEL, PROPERTIES, config_type="disordered", group=group))
    return frames


if __name__ == "__main__":
    batches = {"volumes": partial(volumes, "volumes")}
    for turn in range(1, 5):
        batches[f"disordered-{turn}"] = partial(disordered, f"disordered-{turn}")
    fill("nacl_xtb.extxyz", batches)
