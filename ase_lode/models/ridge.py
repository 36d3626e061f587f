"""The ridge head: energies linear in the invariants of each centre element."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ase_lode.features.representation import Representation


@dataclass
class _State:
    """What the way back needs; `scalars` are density coefficients at l = 0, shape (atoms, channels)."""

    environments: object
    energies: np.ndarray
    d_coefficients: np.ndarray
    scalars: np.ndarray

    @property
    def pairs(self):
        return self.environments.pairs

    @property
    def species(self):
        return self.environments.species


class RidgeHead:
    """Energies E_i = Σ_f w_sf (p_if - p_sf of the isolated atom), as one quadratic form of the coefficients.

    Parameters
    ----------
    potential : Potential
    tolerance : float
        Relative error of the fields and their first derivatives.

    Attributes
    ----------
    shape, sample_shape : tuple
        Of the potential's weights, and of a draw from their posterior.
    range_shape, columns : tuple, array of int
        Shape of the ranges of the coefficients, and the columns in it that are judged.
    """

    def __init__(self, potential, tolerance):
        self._potential = potential
        self.representation = Representation(potential.model, tolerance)
        self.columns = self.representation.layout.scales[0].channels
        self.shape = self.sample_shape = (len(potential.elements), self.representation.n_features)
        self.range_shape = (len(potential.elements), self.representation.layout.width)

    @cached_property
    def _forms(self):
        return self.representation.layout.quadratic(self._potential.weights)

    @cached_property
    def _offsets(self):
        """Energy of each element's isolated atom, which the model leaves to the baseline."""
        return (self.representation.isolated_features * self._potential.weights).sum(axis=1)

    def compute(self, system, neighbors, n_threads, gradient):
        """Energies of the atoms without the baseline, and what `pull_back` and `deviations` need."""
        environments = self.representation.compute(system, neighbors, n_threads)
        energies, d_coefficients = self.representation.energies(environments, self._forms, n_threads)
        energies -= self._offsets[environments.species]
        scalars = environments.coefficients[:, 0, self.columns]
        return _State(environments, energies, d_coefficients, scalars)

    def pull_back(self, state, n_threads):
        """dE/dr and dE/dε."""
        return self.representation.pull_back(state.environments, state.d_coefficients, n_threads)

    def deviations(self, state, gradient, n_threads):
        """Energies, (samples,), and dE/dr, (samples, atoms, 3), of the posterior's draws less those of the weights."""
        representation, weights = self.representation, self._potential.weights
        samples = self._potential.posterior - weights
        features = representation.invariants(state.environments)
        per_element = np.zeros(weights.shape)
        np.add.at(per_element, state.species, features)
        energies = np.einsum("ksf,sf->k", samples, per_element)
        if not gradient:
            return energies, None
        gradients = []
        for sample in samples:
            forms = representation.layout.quadratic(sample)
            _, d_coefficients = representation.energies(state.environments, forms, n_threads)
            gradients.append(representation.pull_back(state.environments, d_coefficients, n_threads)[0])
        return energies, np.array(gradients)
