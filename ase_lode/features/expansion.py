"""Sums over neighbours of a radial function times a spherical harmonic, for the density and for near fields."""

from math import factorial

import numpy as np

from ase_lode._loops import expand as loops
from ase_lode.parallel import run


def harmonic_norms(l_max):
    """Norms of the real harmonics by l(l+1)/2 + m, as multiplied on Legendre functions without (1 - z²)^(m/2)."""
    return np.array([np.sqrt((2 * l + 1) / (4 * np.pi) * factorial(l - m) / factorial(l + m) * (2 if m else 1))
                     for l in range(l_max + 1) for m in range(l + 1)])


class NeighborExpansion:
    """c_i,alm,n = Σ_{j of species a} R_nl(r_ij) Y_lm(r̂_ij), with R_nl from a table, and its adjoint.

    Parameters
    ----------
    radial : RadialTable
        The radial functions; neighbours beyond its end must not be in the pair list.
    max_angular : int
        Largest l.

    Attributes
    ----------
    lanes : int
        Number of radial functions after padding; the flat channel of species a and function n is ``a * lanes + n``.
    """

    def __init__(self, radial, max_angular):
        self._n_radial = radial.n_radial
        self._table = radial.table
        self._step = radial.step
        self._l_max = max_angular
        self._norm = harmonic_norms(max_angular)
        self.lanes = radial.table.shape[3]

    def add(self, pairs, species, out, n_threads):
        """Add the expansion to `out`, shape (atoms, at least (max_angular + 1)², at least species x lanes)."""
        run(loops.expand, len(out), n_threads, pairs.first, pairs.j, pairs.vectors, pairs.distances, species,
            self._table, self._step, self._l_max, self._norm, out)

    def pull_back(self, pairs, species, d_out, pair_gradient, n_threads):
        """Add dE/d(r_j - r_i) to `pair_gradient`, shape (pairs, 3), given dE/d(out)."""
        run(loops.pull_back, len(d_out), n_threads, pairs.first, pairs.j, pairs.vectors, pairs.distances, species,
            self._table, self._step, self._l_max, self._n_radial, self._norm, d_out, pair_gradient)

    def jacobian(self, pairs, n_radial):
        """d(R_nl Y_lm)/d(r_j - r_i) of every pair, shape (pairs, 3, lm, n_radial); for training, never for MD."""
        derivative = np.empty((len(pairs.j), 3, (self._l_max + 1) ** 2, n_radial))
        loops.jacobian(0, len(pairs.j), pairs.vectors, pairs.distances, self._table, self._step, self._l_max,
                       self._norm, n_radial, derivative)
        return derivative
