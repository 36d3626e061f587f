"""What must not change the energy, and what it says of the sum of the forces."""

import numpy as np

from ase_lode.check.results import Finding
from ase_lode.check.subject import MESH_FORCE, TOLERANCE, rms


def rotation_and_translation(subject, atoms):
    """Turning and shifting the whole system turns the forces and changes nothing else."""
    expected = subject.results(atoms)
    rng = np.random.default_rng(1)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.linalg.det(q)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ q)
    turned.positions = atoms.positions @ q
    found = subject.results(turned)
    yield from subject.compare("rotation", atoms, (expected[0], expected[1] @ q), found, 1e-9, 1e-8)
    moved = atoms.copy()
    moved.positions += [0.37, -1.71, 0.43]
    yield from subject.compare("translation", atoms, expected, subject.results(moved), 1e-9, 1e-8)


def inversion_and_permutation(subject, atoms):
    """A mirror image and another order of the atoms have the same energy."""
    energy, forces = subject.results(atoms)
    inverted = atoms.copy()
    inverted.set_cell(-atoms.cell.array)
    inverted.positions *= -1
    yield from subject.compare("inversion", atoms, (energy, -forces), subject.results(inverted), 1e-10, 1e-10)
    order = np.random.default_rng(2).permutation(len(atoms))
    found = subject.results(atoms[order])
    yield from subject.compare("permutation", atoms, (energy, forces[order]), found, 1e-10, 1e-10)


def net_force_and_torque(subject, atoms):
    """Forces sum to zero, and those on an isolated system turn nothing."""
    forces = subject.forces(atoms)
    limit = 1e-9
    if subject.on_mesh(atoms):
        limit = max(limit, MESH_FORCE * subject.calc._tolerance / TOLERANCE * rms(forces))
    yield Finding("net force", float(np.abs(forces.sum(axis=0)).max()), limit * len(atoms), "eV/Å")
    if not atoms.pbc.any():
        arms = atoms.positions - atoms.positions.mean(axis=0)
        yield Finding("torque", float(np.abs(np.cross(arms, forces).sum(axis=0)).max()), 1e-8, "eV")
