"""Forces and stress against differences of the energy."""

import numpy as np

from ase_lode.check.results import Finding, NotOffered
from ase_lode.check.subject import rms

#: Steps of the differences: of every atom in Å, and of the strain.
STEPS = {"forces": (1e-3, 1e-4), "stress": (1e-4, 1e-5)}


def forces(subject, atoms):
    """Forces are the negative gradient of the energy."""
    expected = subject.forces(atoms)
    limit = max(1e-6, 1e-6 * rms(expected))
    rng = np.random.default_rng(0)
    for _ in range(3):
        direction = rng.normal(size=(len(atoms), 3))
        length = np.linalg.norm(direction)

        def energy(step, direction=direction):
            moved = atoms.copy()
            moved.positions += step * direction
            return subject.energy(moved)

        exact = -(expected * direction).sum()
        if not expected.any() and len(atoms) > 1 and energy(0.1) == energy(0.0):
            raise NotOffered("every force is zero and the energy constant; give structures whose atoms interact")
        yield _nearest("force along a random direction", energy, exact, STEPS["forces"], length, limit, "eV/Å")


def stress(subject, atoms):
    """Stress is the derivative of the energy by strain, over the volume."""
    if not atoms.pbc.any():
        raise NotOffered("the structure is not periodic")
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.01 * _plane(atoms)), scale_atoms=True)  # away from zero stress
    expected = subject.stress(atoms)
    volume = atoms.get_volume()
    rng = np.random.default_rng(0)
    state = subject.calc.get_state() if subject.own else None
    try:
        if subject.own:
            subject.calc.pin_mesh(atoms)
        for _ in range(3):
            random = rng.normal(size=(3, 3))
            strain = _plane(atoms) @ (random + random.T) @ _plane(atoms)
            strain /= np.linalg.norm(strain)

            def energy(step, strain=strain):
                moved = atoms.copy()
                moved.set_cell(atoms.cell.array @ (np.eye(3) + step * strain), scale_atoms=True)
                return subject.energy(moved)

            limit = max(1e-6, 1e-5 * np.linalg.norm(expected))
            exact = (expected * strain).sum() * volume
            yield _nearest("stress for a random strain", energy, exact, STEPS["stress"], volume, limit, "eV/Å³")
    finally:
        if subject.own:
            subject.calc.set_state(state)


def _plane(atoms):
    """Projector on the space of the periodic directions."""
    periodic = atoms.cell.array[atoms.pbc]
    return np.linalg.pinv(periodic) @ periodic


def _nearest(what, energy, exact, steps, scale, limit, unit):
    """Deviation at the step where it is smallest: a jump of the energy or a steep wall may spoil the larger one."""
    deviation = min(abs(_slope(energy, step) - exact) / scale for step in steps)
    return Finding(what, float(deviation), float(limit), unit)


def _slope(energy, step):
    """Richardson's central difference."""
    coarse, fine = ((energy(h) - energy(-h)) / (2 * h) for h in (2 * step, step))
    return (4 * fine - coarse) / 3
