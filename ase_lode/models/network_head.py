"""The network head of a potential: energies, gradients and uncertainties of one structure."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ase_lode.models.network import CHUNK, Network


@dataclass
class _State:
    """What the way back needs; `scalars` are density coefficients at l = 0, shape (atoms, columns)."""

    graph: object
    energies: np.ndarray
    charges: np.ndarray
    scalars: np.ndarray
    inner: object = None
    derivatives: tuple | None = None

    @property
    def pairs(self):
        return self.graph.pairs

    @property
    def species(self):
        return self.graph.species


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
        """The potential's weights by name, prepared for many evaluations."""
        return self.representation.prepared(self.representation.unpack(self._potential.weights))

    @cached_property
    def _offsets(self):
        return self.representation.isolated(self.parameters)

    def compute(self, system, neighbors, n_threads, gradient):
        """Energies of the atoms without the baseline, and what `pull_back` and `deviations` need.

        Large systems are evaluated in chunks, with derivatives at once if they will be asked for.
        """
        network = self.representation
        graph = network.graph(system, neighbors, n_threads)
        if gradient and len(system) > CHUNK:
            energies, charges, scalars, *derivatives = network.evaluate(self.parameters, graph, n_threads)
            inner = None
        else:
            (energies, charges, inner), derivatives = network.compute(self.parameters, graph, n_threads), None
            scalars = inner.own[:, 0]
        return _State(graph, energies - self._offsets[graph.species], charges, scalars, inner, derivatives)

    def pull_back(self, state, n_threads):
        """dE/dr and dE/dε."""
        if state.derivatives is not None:
            return state.derivatives
        ones = np.ones(len(state.energies))
        gradient, virials = self.representation.pull_back(self.parameters, state.inner, ones, n_threads=n_threads)
        return gradient, virials[0]

    def deviations(self, state, gradient, n_threads):
        """Energies, (samples,), and dE/dr, (samples, atoms, 3), of the posterior's draws less those of the weights."""
        network, samples = self.representation, self._potential.posterior
        inner = state.inner or network.compute(self.parameters, state.graph, n_threads)[2]
        here = network.last_features(inner, state.species)
        energies = np.einsum("kpsh,psh->k", samples, here - self._isolated_features(state.species))
        if not gradient:
            return energies, None
        ones = np.ones(len(state.energies))
        gradients = [network.pull_back(network.with_last(self.parameters, sample), inner, ones,
                                       n_threads=n_threads)[0] for sample in samples]
        return energies, np.array(gradients)

    def _isolated_features(self, species):
        return self._alone * np.bincount(species, minlength=self._alone.shape[1])[:, None]

    @cached_property
    def _alone(self):
        return self.representation.isolated_last_features(self.parameters)
