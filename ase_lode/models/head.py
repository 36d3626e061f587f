"""What a potential asks of its head, ridge or network."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ase_lode.neighbors import PairList


@dataclass(frozen=True)
class HeadState:
    """Energies of one structure, and what the way back needs.

    Attributes
    ----------
    pairs : PairList
    species : array of int, shape (atoms,)
    energies : array, shape (atoms,)
        Without the baseline, in eV.
    scalars : array, shape (atoms, columns)
        Density coefficients at l = 0, which tell extrapolation.
    inner : object
        Known to the head alone.
    """

    pairs: PairList
    species: np.ndarray
    energies: np.ndarray
    scalars: np.ndarray
    inner: object


class Head(ABC):
    """Energies and their derivatives without the baseline.

    Parameters
    ----------
    potential : Potential
        Its model, weights and posterior are used.
    representation : Representation or Network
        With `cutoff` and `fields`.
    shape, sample_shape : tuple
        Of the potential's weights, and of a draw from their posterior.
    range_shape, columns : tuple, index
        Shape of the ranges of the coefficients, and the columns in it that are judged.
    """

    def __init__(self, potential, representation, shape, sample_shape, range_shape, columns):
        self._potential, self.representation = potential, representation
        self.shape, self.sample_shape = shape, sample_shape
        self.range_shape, self.columns = range_shape, columns

    @abstractmethod
    def compute(self, system, neighbors, n_threads, gradient):
        """A `HeadState`; `gradient` tells whether `pull_back` will be called."""

    @abstractmethod
    def pull_back(self, state, n_threads):
        """dE/dr, shape (atoms, 3), and dE/dε, shape (3, 3)."""

    @abstractmethod
    def deviations(self, state, gradient, n_threads):
        """Energies, (samples,), and dE/dr, (samples, atoms, 3), of the posterior's draws less those of the weights."""
