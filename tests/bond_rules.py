"""Pairs of molecules with responses that simple rules make of their bonds, for models to learn."""

import numpy as np
from ase import Atoms
from ase.io import write

BOHR = 0.529177210903
#: Keys and units of the file.
TARGETS = {"dipole": {"key": "mu", "unit": "e*bohr"}, "polarizability": {"key": "alpha", "unit": "bohr^3"}}


def water(seed):
    """Two triatomic molecules about 3 Å apart, shaken, and what two rules make of them."""
    rng = np.random.default_rng(seed)
    one = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    positions = np.concatenate([one, one @ turn.T + 3.0 * turn[0]]) + 0.08 * rng.normal(size=(6, 3))
    return Atoms("OHHOHH", positions=positions)


def dipole(atoms):
    """Charges that follow the bond lengths: beyond charges of elements, within reach of order 0 or 1."""
    total = np.zeros(3)
    for o, h in ((0, 1), (0, 2), (3, 4), (3, 5)):
        bond = atoms.positions[h] - atoms.positions[o]
        total += (0.4 + 0.5 * (np.linalg.norm(bond) - 0.96)) * bond
    return total


def polarizability(atoms):
    """Bonds, each with a polarizability along and across."""
    total = np.zeros((3, 3))
    for o, h in ((0, 1), (0, 2), (3, 4), (3, 5)):
        bond = atoms.positions[h] - atoms.positions[o]
        total += 0.5 * np.eye(3) + 0.6 * np.outer(bond, bond)
    return total


def born(atoms):
    """Tensors with all three parts: along the bonds, and a twist about a neighbour."""
    result = np.zeros((6, 3, 3))
    for o, h, k in ((0, 1, 2), (0, 2, 1), (3, 4, 5), (3, 5, 4)):
        bond, other = atoms.positions[h] - atoms.positions[o], atoms.positions[k] - atoms.positions[o]
        tensor = 0.4 * np.eye(3) + 0.2 * np.outer(bond, bond) + 0.1 * (np.outer(bond, other) - np.outer(other, bond))
        result[h] += tensor
        result[o] -= tensor
    return result


def write_structures(path):
    """Write 70 structures, labels in atomic units, in dummy cells of 100 Å; return the path."""
    frames = []
    for seed in range(70):
        atoms = water(seed)
        mu, alpha = dipole(atoms), polarizability(atoms)
        atoms.arrays["zeff"] = born(atoms).reshape(6, 9)
        atoms.info.update(mu=mu / BOHR, alpha=alpha.ravel() / BOHR**3, e=0.1 * np.trace(alpha))
        atoms.cell, atoms.pbc = 100 * np.eye(3), True
        frames.append(atoms)
    write(path, frames, format="extxyz")
    return path
