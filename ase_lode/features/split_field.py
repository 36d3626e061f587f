"""The exterior field at one reach: a smooth part on the mesh and a remainder over pairs."""

from functools import cached_property

import numpy as np
from scipy.special import gamma

from ase_lode import memory
from ase_lode.features.density import Y00
from ase_lode.features.expansion import NearField
from ase_lode.features.split import FADE, smooth, split, switched, tail
from ase_lode.field import DENSITY, ParticleMesh, background
from ase_lode.radial import RadialTable

#: Least range in Å of the remainder over pairs: a shorter one would take a finer mesh, which costs more than pairs.
REACH = 5.0


class SplitField:
    """Σ_j q_ja [1 - f_c(r_ij)] Y_lm(r̂_ij)/r_ij^(p+l), split as in Ewald summation.

    The field of Gaussians of width s is on a mesh; s is so small that the remainder ends at the reach (see `split`).

    Parameters
    ----------
    config : FieldConfig
        With all defaults resolved.
    tolerance : float
        Relative root-mean-square error of the field and its first derivatives.
    step : float
        The reach in units of the shortest. The tolerance holds for atoms as dense as in water over the cube of this.

    Attributes
    ----------
    reach, width : float
        In Å.
    mesh : ParticleMesh
    """

    def __init__(self, config, tolerance, step=1.0):
        self.config = config
        shortest = max(REACH, config.cutoff) / config.cutoff
        self.reach = config.cutoff * np.ceil(8 * step * shortest) / 8  # kinks on nodes of the table
        self.width, mesh_tolerance = split(tolerance, config.exponent, config.max_angular, config.cutoff,
                                           config.cutoff_width, self.reach)
        self.mesh = ParticleMesh(config.exponent, config.max_angular, self.width, mesh_tolerance,
                                 density=DENSITY / step**3)

    @cached_property
    def _remainder(self):
        kinks = [self.config.cutoff - self.config.cutoff_width, self.config.cutoff, self.reach * (1 - FADE)]
        return NearField(RadialTable(self._radial, self.reach, kinks), self.config.max_angular)

    def compute(self, system, strengths, neighbors, n_threads):
        """Field of strengths, (atoms, channels): shape (atoms, (max_angular + 1)², channels), and a state."""
        far, state = self.mesh.compute(system, strengths, n_threads)
        pairs = neighbors.pairs(system, self.reach, n_threads)
        values = np.ascontiguousarray(far.transpose(0, 2, 1))
        self._remainder.add(pairs, strengths, values, n_threads)
        values[:, 0] += Y00 * (self._background(system) * strengths.sum(axis=0) - self._self_field() * strengths)
        return values, (state, pairs, strengths)

    def pull_back(self, system, state, d_values, n_threads, need_strengths):
        """dE/dr, dE/dε and dE/d(strengths), given dE/d(values); the last one None unless needed."""
        state, pairs, strengths = state
        d_values = np.ascontiguousarray(d_values)
        gradient, virial, d_strengths = self.mesh.pull_back(state, np.ascontiguousarray(d_values.transpose(0, 2, 1)),
                                                            n_threads)
        pair_gradient = memory.zeros((len(pairs.j), 3))
        near = self._remainder.pull_back(pairs, strengths, d_values, pair_gradient, n_threads, need_strengths)
        pairs.add_gradient(pair_gradient, gradient, virial)
        background, sums = Y00 * self._background(system), d_values[:, 0].sum(axis=0)
        virial -= background * (sums @ strengths.sum(axis=0)) * np.eye(3)  # the background is inverse in the volume
        if not need_strengths:
            return gradient, virial, None
        return gradient, virial, d_strengths + near + background * sums - Y00 * self._self_field() * d_values[:, 0]

    def _background(self, system):
        """The mean that a fully periodic sum without k = 0 leaves out, per unit of strength, in Å^-p."""
        if not system.pbc.all():
            return 0.0
        return background(self.config.exponent, self.width, self.config.cutoff) / system.measure

    def _self_field(self):
        """v_p(0; s), the smooth field of an atom at its own place."""
        half = self.config.exponent / 2
        return (2 * self.width**2) ** -half / gamma(half + 1)

    def _radial(self, r):
        """Values and slopes of the remainder, (points, 1, l)."""
        safe = np.maximum(r, 1e-10 * self.width)
        parts = [self._remainder_of(safe, l) for l in range(self.config.max_angular + 1)]
        values, slopes = (np.stack(part, axis=1)[:, None] for part in zip(*parts))
        return values, slopes

    def _remainder_of(self, r, l):
        config = self.config
        whole = switched(r, config.exponent + l, config.cutoff, config.cutoff_width)
        return [total - part - rest for total, part, rest in zip(
            whole, smooth(r, l, config.exponent, self.width), tail(r, l, config.exponent, self.width, self.reach))]
