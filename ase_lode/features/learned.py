"""The exterior field of strengths that every atom learns from its own surroundings."""

import numpy as np

from ase_lode.features.density import Y00
from ase_lode.features.exterior import DIRECT_BELOW, ExteriorField


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
        """V, shape (atoms, (max_angular + 1)²), of strengths of shape (atoms,), and what `pull_back` needs."""
        strengths = np.ascontiguousarray(strengths[:, None])
        if not system.pbc.any() and len(system) <= DIRECT_BELOW:
            values, state = self._direct.compute(system, strengths, n_threads)
            return values[:, 0], (state, None, strengths)
        smooth, state = self.mesh.compute(system, strengths, n_threads)
        pairs = neighbors.pairs(system, self.reach, n_threads)
        values = smooth.transpose(0, 2, 1).copy()
        self._remainder.add(pairs, strengths, values, n_threads)
        values = values[:, :, 0]
        values[:, 0] += Y00 * (self._background(system) * strengths.sum() - self._self_field() * strengths[:, 0])
        return values, (state, pairs, strengths)

    def pull_back(self, system, state, d_values, gradient, virial, n_threads):
        """Add dE/dr to `gradient` and dE/dε to `virial`; return dE/d(strengths), shape (atoms,)."""
        state, pairs, strengths = state
        engine = self._direct if pairs is None else self.mesh
        d_positions, d_strain, d_strengths = engine.pull_back(state, np.ascontiguousarray(d_values[:, None]), n_threads)
        gradient += d_positions
        virial += d_strain
        if pairs is None:
            return d_strengths[:, 0]
        pair_gradient = np.zeros((len(pairs.j), 3))
        near = self._remainder.pull_back(pairs, strengths, np.ascontiguousarray(d_values[:, :, None]), pair_gradient,
                                         n_threads, need_strengths=True)
        pairs.add_gradient(pair_gradient, gradient, virial)
        background, total = self._background(system), d_values[:, 0].sum()
        virial -= Y00 * background * total * strengths.sum() * np.eye(3)  # the background is inverse in the volume
        return (d_strengths + near)[:, 0] + Y00 * (background * total - self._self_field() * d_values[:, 0])
