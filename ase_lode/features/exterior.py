"""The field of the sources outside an environment: what the density of that environment cannot see.

V_i,alm = Σ_j q_ja [1 - f_c(r_ij)] Y_lm(r̂_ij) / r_ij^(p+l), summed over all atoms and periodic images.
"""

from functools import cached_property

import numpy as np
from scipy.special import gamma, gammainc

from ase_lode.features.density import Y00
from ase_lode.features.expansion import NeighborExpansion
from ase_lode.features.sources import Sources
from ase_lode.field import DirectExterior, ParticleMesh, background, choose
from ase_lode.radial import RadialTable, shifted_cosine, shifted_cosine_slope

#: Isolated systems up to this size are summed directly: exact, and faster than a mesh.
DIRECT_BELOW = 1000
#: Share of the near range over which the remainder is brought to exactly zero, so that energies stay continuous.
FADE = 0.1


class ExteriorField:
    """Field expansion with `near_field: exterior`.

    A periodic or large system is split as in Ewald summation: the field of Gaussians of width s on a mesh, and a
    remainder [Q(p/2 + l, r²/2s²) - f_c(r)]/r^(p+l) over the pairs inside the cutoff, with Q = 1 - P the regularised
    incomplete gamma function; s is so small that the remainder ends at the cutoff.

    Parameters
    ----------
    config : FieldConfig
        With all defaults resolved.
    elements : list of str
        Chemical symbols in the order of the species index.
    tolerance : float
        Relative error of the field and its first derivatives.
    """

    n_radial = 1

    def __init__(self, config, elements, tolerance):
        self.config = config
        self.elements = elements
        reach, _, _ = choose(tolerance, config.exponent, config.max_angular)
        self._width = config.cutoff / reach
        self.cutoff = config.cutoff
        self.mesh = ParticleMesh(config.exponent, config.max_angular, self._width, tolerance)
        self._direct = DirectExterior(config.exponent, config.max_angular, config.cutoff, config.cutoff_width)
        self._orders = [(l, slice(l * l, (l + 1) ** 2)) for l in range(config.max_angular + 1)]

    @cached_property
    def _remainder(self):
        kinks = [self.cutoff - self.config.cutoff_width, self.cutoff * (1 - FADE)]
        return NeighborExpansion(RadialTable(self._radial, self.cutoff, kinks), self.config.max_angular)

    def own(self):
        """V of each element's atom alone in the world, at l = 0: none, since an atom is inside its own cutoff."""
        return np.zeros((len(self.elements), 1))

    def compute(self, system, species, neighbors, n_threads):
        """V, shape (atoms, (max_angular + 1)², channels), and what `pull_back` needs."""
        sources = Sources.of(self.config, self.elements, system, species)
        if not system.pbc.any() and len(system) <= DIRECT_BELOW:
            values, state = self._direct.compute(system, sources.strengths, n_threads)
            return values.transpose(0, 2, 1), (state, None, species, sources)
        smooth, state = self.mesh.compute(system, sources.strengths, n_threads)
        pairs = neighbors.pairs(system, self.cutoff, n_threads)
        near = self._near_array(system)
        self._remainder.add(pairs, species, near.reshape(near.shape[:2] + (-1,)), n_threads)
        values = smooth.transpose(0, 2, 1).copy()
        for l, block in self._orders:
            values[:, block] += near[:, block, :, l] @ sources.mix
        values[:, 0] += Y00 * (self._background(system) * sources.total - self._self_field() * sources.strengths)
        return values, (state, pairs, species, sources)

    def pull_back(self, system, state, d_values, gradient, virial, n_threads):
        """Add dE/dr to `gradient` and dE/dε to `virial`, given dE/dV."""
        state, pairs, species, sources = state
        engine = self._direct if pairs is None else self.mesh
        d_smooth = np.ascontiguousarray(d_values.transpose(0, 2, 1))
        d_positions, d_strain, _ = engine.pull_back(state, d_smooth, n_threads)
        gradient += d_positions
        virial += d_strain
        if pairs is None:
            return
        d_near = self._near_array(system)
        for l, block in self._orders:
            d_near[:, block, :, l] = d_values[:, block] @ sources.mix.T
        pair_gradient = np.zeros((len(pairs.j), 3))
        self._remainder.pull_back(pairs, species, d_near.reshape(d_near.shape[:2] + (-1,)), pair_gradient, n_threads)
        pairs.add_gradient(pair_gradient, gradient, virial)
        mean = Y00 * self._background(system) * (d_values[:, 0].sum(axis=0) @ sources.total)
        virial -= mean * np.eye(3)  # the background is inverse in the volume

    def _near_array(self, system):
        """Zeros for the remainder: (atoms, lm, elements, lanes); lane l holds the radial function of that l."""
        orders = (self.config.max_angular + 1) ** 2
        return np.zeros((len(system), orders, len(self.elements), self._remainder.lanes))

    def _background(self, system):
        """The mean that a fully periodic sum without k = 0 leaves out, per unit of strength, in Å^-p."""
        if not system.pbc.all():
            return 0.0
        return background(self.config.exponent, self._width, self.cutoff) / system.measure

    def _self_field(self):
        """v_p(0; s), the smooth field of an atom at its own place."""
        half = self.config.exponent / 2
        return (2 * self._width**2) ** -half / gamma(half + 1)

    def _radial(self, r):
        """Values and slopes of the remainder, (points, 1, l), as (g - f_c) - g P, which does not cancel near r = 0.

        The fade g ends Q = 1 - P alone: f_c is the same here as in the direct sum.
        """
        config, s = self.config, self._width
        fade = shifted_cosine(r, self.cutoff, FADE * self.cutoff)
        fade_slope = shifted_cosine_slope(r, self.cutoff, FADE * self.cutoff)
        switched = fade - shifted_cosine(r, self.cutoff, config.cutoff_width)
        switched_slope = fade_slope - shifted_cosine_slope(r, self.cutoff, config.cutoff_width)
        safe = np.maximum(r, 1e-10 * s)
        x = safe**2 / (2 * s**2)
        values, slopes = [], []
        for l, _ in self._orders:
            power, order = config.exponent + l, config.exponent / 2 + l
            part = gammainc(order, x)
            part_slope = x ** (order - 1) * np.exp(-x) / gamma(order) * safe / s**2
            value = (switched - fade * part) / safe**power
            change = switched_slope - fade_slope * part - fade * part_slope
            values.append(value)
            slopes.append(change / safe**power - power * value / safe)
        return np.stack(values, axis=1)[:, None], np.stack(slopes, axis=1)[:, None]
