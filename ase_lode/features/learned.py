"""The exterior field of strengths that every atom learns from its own surroundings."""

import numpy as np

from ase_lode.features.exterior import ExteriorField


class LearnedField(ExteriorField):
    """Field expansion of one strength per atom, and its adjoint by positions, strain and strengths.

    Parameters
    ----------
    config : FieldConfig
        With `near_field: exterior`, `sources: learned` and all defaults resolved.
    tolerance : float
        Relative error of the field and its first derivatives.
    """

    def __init__(self, config, tolerance):
        super().__init__(config, [], tolerance)

    def compute(self, system, strengths, neighbors, n_threads):
        """V, shape (atoms, (max_angular + 1)²), of strengths of shape (atoms,), and what `pull_back` needs.

        V is 0 below min_angular.
        """
        values, state = self.of_strengths(system, np.ascontiguousarray(strengths[:, None]), neighbors, n_threads)
        return self._without_lowest(values[:, :, 0]), state

    def pull_back(self, system, state, d_values, gradient, virial, n_threads):
        """Add dE/dr to `gradient` and dE/dε to `virial`; return dE/d(strengths), shape (atoms,)."""
        d_values = self._without_lowest(d_values)[:, :, None]
        return self.pull_strengths(system, state, d_values, gradient, virial, n_threads)[:, 0]

    def _without_lowest(self, values):
        result = values.copy()
        result[:, :self.config.min_angular**2] = 0.0
        return result
