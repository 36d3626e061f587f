"""The same crystal in other words: supercells, other unit cells, unwrapped atoms, dummy vectors."""

from itertools import product

import numpy as np

from ase_lode.check.results import NotOffered


def supercells(subject, atoms):
    """Twice the cell along a periodic direction is the same per atom, for every pattern of periodic directions."""
    if not atoms.pbc.any():
        raise NotOffered("the structure is not periodic")
    for pbc in product([True, False], repeat=3):
        if not any(pbc) or (np.array(pbc) > atoms.pbc).any():
            continue
        base = atoms.copy()
        base.pbc = pbc
        try:
            energy, forces = subject.results(base)
        except Exception:  # a calculator may refuse a periodicity, but not the structure's own
            if (base.pbc == atoms.pbc).all():
                raise
            continue
        for axis in np.flatnonzero(pbc):
            double = base.repeat([1 + (axis == other) for other in range(3)])
            pattern = "".join("FT"[direction] for direction in pbc)
            yield from subject.compare(f"doubling along {'abc'[axis]} with pbc {pattern}", base,
                                       (energy, np.vstack([forces, forces])), subject.results(double), 1e-8, 1e-7)


def unit_cells(subject, atoms):
    """Other cell vectors of the same crystal, unwrapped atoms and dummy vectors change nothing."""
    expected = subject.results(atoms)
    for what, changed in _descriptions(atoms):
        found = subject.results(changed)
        yield next(subject.compare(what, atoms, expected, found, 1e-9, np.inf))


def _descriptions(atoms):
    """The same structure in other words, each with its name."""
    axes, others = np.flatnonzero(atoms.pbc), np.flatnonzero(~atoms.pbc)
    if len(axes):
        unwrapped = atoms.copy()
        unwrapped.positions[::2] += np.array([3, -2, 1])[: len(axes)] @ atoms.cell.array[axes]
        yield "unwrapping atoms", unwrapped
    for first, second in zip(axes, axes[1:]):
        skewed = atoms.copy()
        skewed.cell[second] += atoms.cell[first]
        yield f"adding cell vector {'abc'[first]} to {'abc'[second]}", skewed
    if len(others):
        dummy = atoms.copy()
        dummy.cell[others] = np.array([[31.0, 2.0, -3.0], [4.0, 37.0, 1.0], [-2.0, 5.0, 41.0]])[others]
        yield "another dummy vector along a direction that is not periodic", dummy
        zero = atoms.copy()
        zero.cell[others] = 0.0
        yield "a zero vector along a direction that is not periodic", zero
