"""Energies of free atoms with GFN1-xTB (eV), as reference energies where one composition leaves a fit undetermined.

Usage::

    python free_atoms.py
"""

from ase import Atoms
from levels import LEVELS

#: Unpaired electrons of the ground state.
UNPAIRED = {"H": 1, "C": 2, "O": 2, "Na": 1, "Cl": 1}


def free_atom(element):
    """Return the energy (eV) of one free atom in its ground-state multiplicity."""
    atom = Atoms(element, magmoms=[UNPAIRED[element]])
    atom.calc = LEVELS["GFN1-xTB"]()
    return atom.get_potential_energy()


if __name__ == "__main__":
    print("{" + ", ".join(f"{element}: {free_atom(element):.4f}" for element in UNPAIRED) + "}")
