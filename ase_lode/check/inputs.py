"""What a calculator says of input that no one can compute."""

import numpy as np
from ase import Atoms

from ase_lode.check.child import Refusal, outcomes
from ase_lode.check.results import happened

#: Errors that come from a program going on without noticing; they tell a user nothing.
ACCIDENTS = {"LookupError", "TypeError", "AttributeError", "ArithmeticError", "AssertionError", "NameError",
             "LinAlgError", "MemoryError", "SystemError"}


def bad_input(subject, structures):
    """Unknown elements, positions that are not finite, zero cells and no atoms are refused in words."""
    cases = _cases(structures[0])
    for what, outcome in zip(cases, outcomes(subject.make, list(cases.values()))):
        if isinstance(outcome, Refusal):
            yield happened(f"{what}: {outcome}", not _in_words(outcome, subject.own))
        elif isinstance(outcome, str):
            yield happened(f"{what}: {outcome}", True)
        else:
            yield happened(f"{what} accepted with an energy of {outcome[0]:.6g} eV", True)


def _cases(atoms):
    """Structures that no calculator can know, each with its name."""
    atoms = atoms.copy()
    unknown, infinite, flat = atoms.copy(), atoms.copy(), atoms.copy()
    unknown.numbers[:] = 0
    infinite.positions[0, 0] = np.nan
    flat.set_cell(np.zeros((3, 3)))
    flat.pbc = True
    return {"an unknown element": unknown, "a position that is not a number": infinite, "a zero cell": flat,
            "no atoms": Atoms(cell=atoms.cell, pbc=atoms.pbc)}


def _in_words(refusal, own):
    """Whether the error was meant: typed and with a text; ours have a class of their own."""
    if own and "LODEError" not in refusal.kinds:
        return False
    return bool(refusal.text) and not ACCIDENTS & set(refusal.kinds)
