"""A label: a structure as the file will store it, with what the teacher says about exactly that structure."""

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from levels import LEVELS

#: Decimals kept of positions and cells (Å), before labelling, so that the file reproduces its own labels.
POSITION_DECIMALS = 5
#: Decimals kept of each label (eV, eV/Å, eV/Å³, e·Å, e): well below the teacher's own noise.
LABEL_DECIMALS = {"energy": 6, "forces": 6, "stress": 8, "dipole": 6, "charges": 5}


def label(atoms, level, properties, **info):
    """Label one structure from scratch, so that the result does not depend on what was computed before.

    Parameters
    ----------
    atoms : Atoms
        The structure; constraints, velocities and labels are left behind.
    level : str
        A key of ``LEVELS``.
    properties : sequence of str
        Names of ASE properties, keys of ``LABEL_DECIMALS``.
    **info
        Written to ``atoms.info``; a ``charge`` (e) is also the structure's total charge.

    Returns
    -------
    Atoms
        The rounded structure; its calculator holds the labels.

    Raises
    ------
    ase.calculators.calculator.CalculationFailed
        The teacher did not converge.
    """
    stored = Atoms(
        atoms.numbers,
        positions=atoms.positions.round(POSITION_DECIMALS),
        cell=atoms.cell.round(POSITION_DECIMALS),
        pbc=atoms.pbc,
    )
    stored.calc = LEVELS[level]()
    if info.get("charge"):
        stored.calc.set(charge=info["charge"])
    results = {name: _rounded(stored, name) for name in properties}
    stored.calc = SinglePointCalculator(stored, **results)
    stored.info.update(info, method=level)
    return stored


def _rounded(atoms, name):
    return np.round(atoms.calc.get_property(name, atoms), LABEL_DECIMALS[name]) + 0.0  # no minus zero
