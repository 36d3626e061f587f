"""The network head of a potential: energies, gradients and uncertainties of one structure."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ase_lode.models.network import Network


@dataclass
class _State:
    """What the way back needs; `scalars` are density coefficients at l = 0, shape (atoms, columns)."""

    energies: np.ndarray
    charges: np.ndarray
    inner: object

    @property
    def pairs(self):
        return self.inner.graph.pairs

    @property
    def species(self):
        return self.inner.graph.species

    @property
    def scalars(self):
        return self.inner.own[:, 0]


class NetworkHead:
    """A network with its parameters; see `Network` for the model.

    Uncertainty: draws from the posterior of the weights of the last layers, all else fixed.

    Parameters
    ----------
    potential : Potential
    tolerance : float
        Relative error of the fields and their first derivatives.

    Attributes
    ----------
    shape, sample_shape : tuple
        Of the potential's weights, and of a draw from the posterior of the last layers'.
    range_shape, columns : tuple, slice
        Shape of the ranges of the coefficients, and the columns in it that are judged.
    """

    def __init__(self, potential, tolerance):
        self._potential = potential
        self.representation = Network(potential.model, tolerance)
        n = len(potential.elements)
        self.shape = (self.representation.n_parameters,)
        self.sample_shape = (2, n, potential.model.head.hidden[-1])
        self.range_shape, self.columns = (n, n * self.representation.density.lanes), slice(None)

    @cached_property
    def parameters(self):
        """The potential's weights by name."""
        return self.representation.unpack(self._potential.weights)

    @cached_property
    def _offsets(self):
        return self.representation.isolated(self.parameters)

    def compute(self, system, neighbors, n_threads):
        """Energies of the atoms without the baseline, and what `pull_back` and `deviations` need."""
        graph = self.representation.graph(system, neighbors, n_threads)
        energies, charges, state = self.representation.compute(self.parameters, graph, n_threads)
        return _State(energies - self._offsets[graph.species], charges, state)

    def pull_back(self, state, n_threads):
        """dE/dr and dE/dε."""
        ones = np.ones(len(state.energies))
        gradient, virials = self.representation.pull_back(self.parameters, state.inner, ones, n_threads=n_threads)
        return gradient, virials[0]

    def deviations(self, state, gradient, n_threads):
        """Energies, (samples,), and dE/dr, (samples, atoms, 3), of the posterior's draws less those of the weights."""
        network, samples = self.representation, self._potential.posterior
        here = network.last_features(state.inner, state.species)
        energies = np.einsum("kpsh,psh->k", samples, here - self._isolated_features(state.species))
        if not gradient:
            return energies, None
        ones = np.ones(len(state.energies))
        gradients = [network.pull_back(network.with_last(self.parameters, sample), state.inner, ones,
                                       n_threads=n_threads)[0] for sample in samples]
        return energies, np.array(gradients)

    def _isolated_features(self, species):
        return self._alone * np.bincount(species, minlength=self._alone.shape[1])[:, None]

    @cached_property
    def _alone(self):
        return self.representation.isolated_last_features(self.parameters)
