"""Screened nuclear repulsion (ZBL) that ends where the data begin: it keeps atoms apart and changes nothing else."""

from dataclasses import dataclass

import numpy as np

from ase_lode._loops.repulsion import repel
from ase_lode.parallel import run

#: e²/(4π ε0) in eV Å.
COULOMB = 14.399645478
#: Screening length 0.8854 bohr in Å and the exponent of the atomic numbers in it.
SCREENING_LENGTH = 0.46850
SCREENING_POWER = 0.23
#: The universal screening function Σ amplitude exp(-decay r/a).
AMPLITUDES = np.array([0.18175, 0.50986, 0.28022, 0.02817])
DECAYS = np.array([3.19980, 0.94229, 0.40290, 0.20162])


@dataclass(frozen=True)
class Repulsion:
    """Pair repulsion, φ(r) = k Z_i Z_j/r Σ_t a_t exp(-d_t r/a_ij) s(r/contact).

    s(x) = (1 - x)³ (1 + 3x + 6x²) falls from 1 to 0 with two continuous derivatives. Source: J. F. Ziegler, J. P.
    Biersack, U. Littmark, The Stopping and Range of Ions in Matter (1985).

    Attributes
    ----------
    numbers : array, shape (elements,)
        Atomic numbers of the elements.
    contact : array, shape (elements, elements)
        Distances in Å at which the repulsion ends.
    """

    numbers: np.ndarray
    contact: np.ndarray

    @property
    def cutoff(self):
        """Largest distance in Å at which anything repels."""
        return float(self.contact.max())

    def evaluate(self, species, pairs, n_threads=1):
        """Repulsion of the pairs of one structure.

        Parameters
        ----------
        species : array of int, shape (atoms,)
            Index of each atom's element.
        pairs : PairList
            Pairs in both directions sorted by centre, at least up to `cutoff`.

        Returns
        -------
        energies : array, shape (atoms,)
            In eV.
        gradient : array, shape (atoms, 3)
            dE/dr in eV/Å.
        virial : array, shape (3, 3)
            dE/dε in eV.
        """
        n = len(species)
        energies, gradient, virials = np.empty(n), np.empty((n, 3)), np.empty((n, 3, 3))
        run(repel, n, n_threads, pairs.first, pairs.j, pairs.vectors, pairs.distances, species, self.numbers,
            self.contact, COULOMB, SCREENING_LENGTH, SCREENING_POWER, AMPLITUDES, DECAYS, energies, gradient, virials)
        return energies, gradient, virials.sum(axis=0)
