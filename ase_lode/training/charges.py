"""Charges of the elements, fitted to dipoles of molecules and to reference charges: the sources of the far field."""

import numpy as np

from ase_lode.errors import ConfigError, DataError
from ase_lode.models.baseline import compositions
from ase_lode.system import CHEMICAL_SYMBOLS

#: Relative weight of the wish that unshifted charges add up to the total: fixes what the labels leave free.
GAUGE = 1e-3


def fit_charges(structures, elements):
    """Charges q_a that explain the labels best after the even shift of every structure to its total charge.

    Atom j carries q_a(j) + (Q - Σ_b n_b q_b)/N. The shift makes the labels blind to a constant added to all q_a;
    it is chosen so that the shifts are small.

    Parameters
    ----------
    structures : list of Structure
        Dipoles (e·Å) of isolated ones and reference charges (e) are used, each relative to its root mean square.
    elements : sequence of str
        Chemical symbols.

    Returns
    -------
    dict
        Charge in e by element.

    Raises
    ------
    ConfigError
        There is neither a dipole nor a reference charge.
    DataError
        Only periodic structures have dipoles, which are multivalued.
    """
    molecules = [s for s in structures if s.dipole is not None and not s.system.pbc.any()]
    charged = [s for s in structures if s.charges is not None]
    if not molecules and not charged:
        if any(s.dipole is not None for s in structures):
            raise DataError("All dipoles belong to periodic structures and are multivalued; give model.charges by "
                            "element, or store isolated molecules with pbc F F F.")
        raise ConfigError("A field has sources: charges, but nothing tells the charges: name data.train.dipole or "
                          "data.train.charges, give model.charges by element, or use sources: elements.")
    numbers = np.array([CHEMICAL_SYMBOLS.index(symbol) for symbol in elements])
    counts = compositions([s.system for s in structures], elements)
    totals = np.array([s.system.charge for s in structures])
    blocks = [_relative([_dipole_rows(s, numbers) for s in molecules]),
              _relative([_charge_rows(s, numbers) for s in charged]),
              (GAUGE * counts / counts.sum(axis=1).mean(), GAUGE * totals / counts.sum(axis=1).mean())]
    rows, targets = (np.concatenate(parts) for parts in zip(*(block for block in blocks if block)))
    fitted = np.linalg.lstsq(rows, targets, rcond=None)[0]
    return {symbol: float(q) for symbol, q in zip(elements, fitted)}


def _shifted(system, numbers):
    """Matrix (atoms, elements) and vector (atoms,) that turn charges of elements into those of atoms."""
    member = (system.numbers[:, None] == numbers).astype(float)
    return member - member.mean(axis=0), np.full(len(system), system.charge / len(system))


def _dipole_rows(structure, numbers):
    matrix, constant = _shifted(structure.system, numbers)
    positions = structure.system.positions
    return positions.T @ matrix, structure.dipole - positions.T @ constant


def _charge_rows(structure, numbers):
    matrix, constant = _shifted(structure.system, numbers)
    return matrix, structure.charges - constant


def _relative(pairs):
    """Rows and targets of all structures, such that the targets have mean square 1/rows."""
    if not pairs:
        return None
    rows, targets = (np.concatenate(parts) for parts in zip(*pairs))
    scale = np.linalg.norm(targets) or 1.0
    return rows / scale, targets / scale
