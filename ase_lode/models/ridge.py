"""The ridge head: energies linear in the invariants of each centre element."""

from functools import cached_property

import numpy as np

from ase_lode.features.representation import Representation
from ase_lode.models.head import Head, HeadState


class RidgeHead(Head):
    """Energies E_i = Σ_f w_sf (p_if - p_sf of the isolated atom), as one quadratic form of the coefficients.

    Parameters
    ----------
    potential : Potential
    tolerance : float
        Relative error of the fields and their first derivatives.
    """

    def __init__(self, potential, tolerance):
        representation, n = Representation(potential.model, tolerance), len(potential.elements)
        shape, layout = (n, representation.n_features), representation.layout
        super().__init__(potential, representation, shape, shape, (n, layout.width), layout.scales[0].channels)

    @cached_property
    def _forms(self):
        return self.representation.layout.quadratic(self._potential.weights)

    @cached_property
    def _offsets(self):
        """Energy of each element's isolated atom, which the model leaves to the baseline."""
        return (self.representation.isolated_features * self._potential.weights).sum(axis=1)

    def compute(self, system, neighbors, n_threads, gradient):
        """See `Head`."""
        environments = self.representation.compute(system, neighbors, n_threads)
        energies, d_coefficients = self.representation.energies(environments, self._forms, n_threads)
        species = environments.species
        return HeadState(environments.pairs, species, energies - self._offsets[species],
                         environments.coefficients[:, 0, self.columns], (environments, d_coefficients))

    def pull_back(self, state, n_threads):
        """See `Head`."""
        return self.representation.pull_back(*state.inner, n_threads)

    def deviations(self, state, gradient, n_threads):
        """See `Head`."""
        environments = state.inner[0]
        representation, weights = self.representation, self._potential.weights
        samples = self._potential.posterior - weights
        features = representation.invariants(environments)
        per_element = np.zeros(weights.shape)
        np.add.at(per_element, state.species, features)
        energies = np.einsum("ksf,sf->k", samples, per_element)
        if not gradient:
            return energies, None
        gradients = []
        for sample in samples:
            forms = representation.layout.quadratic(sample)
            _, d_coefficients = representation.energies(environments, forms, n_threads)
            gradients.append(representation.pull_back(environments, d_coefficients, n_threads)[0])
        return energies, np.array(gradients)
