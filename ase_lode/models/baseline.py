"""What is subtracted before fitting and added back in every call: energies of the elements and close repulsion."""

from dataclasses import dataclass

import numpy as np

from ase_lode.errors import DataError
from ase_lode.models.repulsion import Repulsion
from ase_lode.system import CHEMICAL_SYMBOLS


@dataclass(frozen=True)
class Baseline:
    """Reference energies by element, and repulsion below contact distances.

    Attributes
    ----------
    elements : tuple of str
        Chemical symbols.
    energies : array, shape (elements,)
        Energy of one atom of each element in eV.
    contact : array, shape (elements, elements), or None
        Distances in Å at which the repulsion ends; None: no repulsion.
    """

    elements: tuple
    energies: np.ndarray
    contact: np.ndarray | None = None

    @property
    def numbers(self):
        """Atomic numbers of the elements."""
        return np.array([CHEMICAL_SYMBOLS.index(symbol) for symbol in self.elements])

    @property
    def repulsion(self):
        """The repulsion, or None."""
        return None if self.contact is None else Repulsion(self.numbers.astype(float), self.contact)

    def evaluate(self, system, pairs=None, n_threads=1):
        """Contribution of the baseline to one structure.

        Parameters
        ----------
        system : System
            The structure; its elements must be among the baseline's.
        pairs : PairList, optional
            Pairs up to `contact` or further; needed for the repulsion only.

        Returns
        -------
        energies : array, shape (atoms,)
            In eV.
        gradient : array, shape (atoms, 3)
            dE/dr in eV/Å.
        virial : array, shape (3, 3)
            dE/dε in eV.
        """
        species = system.species(self.elements)
        if self.contact is None or pairs is None:
            return self.energies[species], np.zeros((len(species), 3)), np.zeros((3, 3))
        energies, gradient, virial = self.repulsion.evaluate(species, pairs, n_threads)
        return self.energies[species] + energies, gradient, virial

    def check(self, elements):
        """Raise ValueError unless the baseline is complete, finite and of these elements."""
        n = len(elements)
        if list(self.elements) != list(elements):
            raise ValueError(f"the baseline is of {', '.join(self.elements)}, the model of {', '.join(elements)}")
        if self.energies.shape != (n,) or not np.isfinite(self.energies).all():
            raise ValueError(f"the baseline needs {n} finite reference energies")
        if self.contact is not None and (self.contact.shape != (n, n) or not (self.contact >= 0).all()
                                         or not np.isfinite(self.contact).all()
                                         or not np.allclose(self.contact, self.contact.T, rtol=1e-9)):
            raise ValueError("the contact distances of the baseline are not a symmetric table of lengths")

    def to_dict(self):
        """JSON-able description."""
        return {"elements": list(self.elements), "energies": [float(e) for e in self.energies],
                "contact": None if self.contact is None else np.asarray(self.contact).tolist()}

    @classmethod
    def from_dict(cls, mapping):
        """The baseline that `to_dict` described."""
        contact = mapping["contact"]
        return cls(tuple(mapping["elements"]), np.array(mapping["energies"], dtype=float),
                   None if contact is None else np.array(contact, dtype=float))


def compositions(systems, elements):
    """Number of atoms of each element in each structure, shape (structures, elements)."""
    numbers = np.array([CHEMICAL_SYMBOLS.index(symbol) for symbol in elements])
    return np.array([(system.numbers[:, None] == numbers).sum(axis=0) for system in systems], dtype=float)


def fit_reference_energies(counts, energies, elements, allow_rank_deficient=False):
    """Energies of the elements that serve the total energies best, by least squares per atom.

    Parameters
    ----------
    counts : array, shape (structures, elements)
        Atoms of each element.
    energies : array, shape (structures,)
        Total energies in eV.
    elements : sequence of str
        Their symbols, for messages.
    allow_rank_deficient : bool
        Accept compositions that do not determine every element; the solution of least norm is taken.

    Returns
    -------
    array, shape (elements,)
        In eV.

    Raises
    ------
    DataError
        The compositions do not determine every element and this was not allowed.
    """
    atoms = counts.sum(axis=1)
    rank = np.linalg.matrix_rank(counts / atoms[:, None])
    if rank < len(elements) and not allow_rank_deficient:
        raise DataError(
            f"The compositions determine only {rank} of the {len(elements)} reference energies "
            f"({', '.join(elements)}); give model.baseline.reference_energies, or set "
            "model.baseline.allow_rank_deficient: true.")
    return np.linalg.lstsq(counts / atoms[:, None], energies / atoms, rcond=None)[0]
