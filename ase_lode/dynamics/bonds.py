"""Covalent bonds, found by radii: the ones a run must keep, and the angles and backbone torsions they make."""

from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii

#: Bonded when closer than this times the sum of the covalent radii (Cordero et al., Dalton Trans. 2832 (2008)).
BONDED = 1.2
#: Elements whose bonds are covalent; a metal changes its neighbours without breaking anything.
NONMETALS = np.isin(np.arange(119), [1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53])


@dataclass
class Bonds:
    """Pairs of bonded atoms; across periodic boundaries with the cell vectors between them.

    Attributes
    ----------
    first, second : array, shape (bonds,)
        Atoms of each bond, in increasing order.
    shifts : array, shape (bonds, 3)
        Cell vectors to add to the second atom.
    """

    first: np.ndarray
    second: np.ndarray
    shifts: np.ndarray

    @classmethod
    def find(cls, atoms):
        """The bonds between the nonmetals of a structure."""
        from ase.neighborlist import neighbor_list

        radii = np.where(NONMETALS[atoms.numbers], BONDED * covalent_radii[atoms.numbers], 0.0)
        i, j, shifts = neighbor_list("ijS", atoms, radii)
        once = (i < j) & (radii[i] > 0) & (radii[j] > 0)
        order = np.lexsort((j[once], i[once]))
        return cls(i[once][order], j[once][order], shifts[once][order].astype(float))

    @classmethod
    def none(cls):
        """No bonds."""
        return cls(np.empty(0, dtype=int), np.empty(0, dtype=int), np.empty((0, 3)))

    def __len__(self):
        return len(self.first)

    def vectors(self, positions, cell):
        """Vectors from first to second atom in Å, for unwrapped positions (..., atoms, 3) and cells (..., 3, 3)."""
        return positions[..., self.second, :] - positions[..., self.first, :] + self.shifts @ cell

    def lengths(self, positions, cell):
        """Lengths in Å."""
        return np.linalg.norm(self.vectors(positions, cell), axis=-1)

    def neighbours(self, count):
        """List of bonded atoms of each of `count` atoms."""
        found = [[] for _ in range(count)]
        for i, j in zip(self.first.tolist(), self.second.tolist()):
            found[i].append(j)
            found[j].append(i)
        return found


def backbone_torsions(atoms):
    """Atoms of the torsions φ and ψ of every residue of a peptide, by its bonds alone.

    A residue is N-Cα-C where N and C belong to peptide groups C(=O)-N; names, order of atoms and file format are
    of no importance. φ is C-N-Cα-C, ψ is N-Cα-C-N.

    Parameters
    ----------
    atoms : ase.Atoms
        Isolated or whole molecules with hydrogens.

    Returns
    -------
    list of (tuple of 4 ints, tuple of 4 ints)
        φ and ψ, in the order of the chain within each molecule.
    """
    symbols, near = atoms.get_chemical_symbols(), Bonds.find(atoms).neighbours(len(atoms))

    def bonded(atom, element):
        return [other for other in near[atom] if symbols[other] == element]

    carbonyl = [symbols[c] == "C" and len(near[c]) == 3 and any(len(near[o]) == 1 for o in bonded(c, "O"))
                for c in range(len(atoms))]
    found = {}
    for before in (c for c in range(len(atoms)) if carbonyl[c]):
        for n in bonded(before, "N"):
            for alpha in (a for a in bonded(n, "C") if a != before and not carbonyl[a]):
                for after in (c for c in bonded(alpha, "C") if carbonyl[c]):
                    for following in bonded(after, "N"):
                        found[before] = (after, (before, n, alpha, after), (n, alpha, after, following))
    ends = {after for after, *_ in found.values()}
    torsions = []
    for c in (c for c in found if c not in ends):
        while c in found:
            c, *pair = found[c]
            torsions.append(tuple(pair))
    return torsions
