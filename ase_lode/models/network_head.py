"""The network head of a potential: energies, gradients and uncertainties of one structure."""

from functools import cached_property

import numpy as np

from ase_lode.models.head import Head, HeadState
from ase_lode.models.network import CHUNK, Network


class NetworkHead(Head):
    """A network with its parameters; see `Network` for the model.

    Uncertainty: draws from the posterior of the weights that energies are linear in, all else fixed: those of the last
    hidden units and of the inputs. Potentials made before inputs took part hold the former alone.

    Parameters
    ----------
    potential : Potential
    tolerance : float
        Relative error of the fields and their first derivatives.
    """

    def __init__(self, potential, tolerance):
        network, n = Network(potential.model, tolerance), len(potential.elements)
        hidden = potential.model.head.hidden[-1]
        self._width = hidden + network.n_inputs
        older = potential.posterior is not None and potential.posterior.shape[-1] == hidden
        super().__init__(potential, network, (network.n_parameters,), (2, n, hidden if older else self._width),
                         (n, n * network.density.lanes), slice(None))

    @cached_property
    def parameters(self):
        """The potential's weights by name, prepared for many evaluations."""
        return self.representation.prepared(self.representation.unpack(self._potential.weights))

    @cached_property
    def _offsets(self):
        return self.representation.isolated(self.parameters)

    def compute(self, system, neighbors, n_threads, gradient):
        """See `Head`; large systems are evaluated in chunks, with derivatives at once if they will be asked for."""
        network = self.representation
        graph = network.graph(system, neighbors, n_threads)
        state = derivatives = None
        if gradient and len(system) > CHUNK:
            energies, _, scalars, *derivatives = network.evaluate(self.parameters, graph, n_threads)
        else:
            energies, _, state = network.compute(self.parameters, graph, n_threads)
            scalars = state.own[:, 0]
        return HeadState(graph.pairs, graph.species, energies - self._offsets[graph.species], scalars,
                         (graph, state, derivatives))

    def pull_back(self, state, n_threads):
        """See `Head`."""
        _, inner, derivatives = state.inner
        if derivatives is not None:
            return derivatives
        ones = np.ones(len(state.energies))
        gradient, virials = self.representation.pull_back(self.parameters, inner, ones, n_threads=n_threads)
        return gradient, virials[0]

    def deviations(self, state, gradient, n_threads):
        """See `Head`."""
        network, samples = self.representation, self._samples
        graph, inner, _ = state.inner
        inner = inner or network.compute(self.parameters, graph, n_threads)[2]
        here = network.linear_features(inner, state.species)
        energies = np.einsum("kpsh,psh->k", samples, here - self._isolated_features(state.species))
        if not gradient:
            return energies, None
        ones = np.ones(len(state.energies))
        gradients = [network.pull_back(network.with_linear(self.parameters, sample), inner, ones,
                                       n_threads=n_threads)[0] for sample in samples]
        return energies, np.array(gradients)

    def _isolated_features(self, species):
        return self._alone * np.bincount(species, minlength=self._alone.shape[1])[:, None]

    @cached_property
    def _alone(self):
        return self.representation.isolated_linear_features(self.parameters)

    @cached_property
    def _samples(self):
        posterior = self._potential.posterior
        return np.pad(posterior, [(0, 0)] * 3 + [(0, self._width - posterior.shape[-1])])
