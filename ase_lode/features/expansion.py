"""Sums over neighbours of a radial function times a spherical harmonic, for the density and for near fields."""

from dataclasses import dataclass
from math import factorial

import numpy as np
from scipy.sparse import coo_array

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
        self._radial = radial
        self._l_max = max_angular
        self._norm = harmonic_norms(max_angular)
        self.lanes = radial.table.shape[3]

    def add(self, pairs, species, out, n_threads):
        """Add the expansion to `out`, shape (atoms, at least (max_angular + 1)², at least species x lanes)."""
        run(loops.expand, len(out), n_threads, pairs.first, pairs.j, pairs.vectors, pairs.distances, species,
            self._radial.table, self._radial.step, self._l_max, self._norm, out)

    def pull_back(self, pairs, species, d_out, pair_gradient, n_threads):
        """Add dE/d(r_j - r_i) to `pair_gradient`, shape (pairs, 3), given dE/d(out)."""
        run(loops.pull_back, len(d_out), n_threads, pairs.first, pairs.j, pairs.vectors, pairs.distances, species,
            self._radial.table, self._radial.step, self._l_max, self._radial.n_radial, self._norm, d_out, pair_gradient)

    def add_carried(self, pairs, strengths, out, n_threads):
        """Add the expansion of all neighbours weighed by their strengths, (atoms, s), to `out`: (atoms, lm, s x lanes).
        """
        run(loops.expand_carried, len(out), n_threads, pairs.first, pairs.j, pairs.vectors, pairs.distances, strengths,
            self._radial.table, self._radial.step, self._l_max, self._norm, out)

    def pull_back_carried(self, pairs, strengths, d_out, pair_gradient, n_threads, pair_strengths=None):
        """dE/d(strengths), shape (atoms, s), given dE/d(out) of `add_carried`.

        Also adds dE/d(r_j - r_i) to `pair_gradient`, shape (pairs, 3), unless that is None. Where `pair_strengths`,
        shape (pairs, s), is given, it takes the derivative through each pair, and nothing is returned.
        """
        need, given = pair_gradient is not None, pair_strengths is not None
        through = pair_strengths if given else np.empty((len(pairs.j), strengths.shape[1]))
        run(loops.pull_back_carried, len(d_out), n_threads, pairs.first, pairs.j, pairs.vectors, pairs.distances,
            strengths, self._radial.table, self._radial.step, self._l_max, self._radial.n_radial, self._norm, d_out,
            need, pair_gradient if need else np.empty((0, 3)), through)
        return None if given else pairs.sum_neighbors(through, len(strengths))

    def jacobian(self, pairs):
        """d(R_nl Y_lm)/d(r_j - r_i) of every pair, shape (pairs, 3, lm, n_radial); for training, never for MD."""
        return pair_jacobian(pairs, *self._radial.evaluate(pairs.distances), self._l_max)


class NearField:
    """V_i,lm,a = Σ_j q_ja R_l(r_ij) Y_lm(r̂_ij), one radial function for each l, and its adjoint.

    Parameters
    ----------
    radial : RadialTable
        R_l as the function number l; neighbours beyond its end must not be in the pair list.
    max_angular : int
        Largest l.
    """

    def __init__(self, radial, max_angular):
        self._constants = radial.table, radial.step, max_angular, harmonic_norms(max_angular)

    def add(self, pairs, strengths, out, n_threads):
        """Add the field of the neighbours' strengths, (atoms, channels), to `out`, (atoms, lm, channels)."""
        run(loops.near, len(out), n_threads, pairs.first, pairs.j, pairs.vectors, pairs.distances, strengths,
            *self._constants, out)

    def pull_back(self, pairs, strengths, d_out, pair_gradient, n_threads, need_strengths=False):
        """Add dE/d(r_j - r_i) to `pair_gradient`, (pairs, 3), given dE/d(out); dE/d(strengths) if needed, or None."""
        through = np.empty((len(pairs.j) if need_strengths else 0, strengths.shape[1]))
        run(loops.pull_back_near, len(d_out), n_threads, pairs.first, pairs.j, pairs.vectors, pairs.distances,
            strengths, *self._constants, d_out, need_strengths, pair_gradient, through)
        return pairs.sum_neighbors(through, len(strengths)) if need_strengths else None


def pair_jacobian(pairs, values, slopes, l_max):
    """d(R_nl Y_lm)/d(r_j - r_i), shape (pairs, 3, lm, n), given R_nl and R_nl' of the pairs, (pairs, l or 1, n)."""
    derivative = np.empty((len(pairs.j), 3, (l_max + 1) ** 2, values.shape[2]))
    loops.jacobian(0, len(pairs.j), pairs.vectors, pairs.distances, values, slopes, l_max, harmonic_norms(l_max),
                   derivative)
    return derivative


@dataclass(frozen=True)
class Form:
    """Many linear forms Σ_i Σ_m weights[r, i, m] V_i,lm of one l: the products of a field with other channels.

    Attributes
    ----------
    centres : array of int, shape (centres,)
        The atoms i.
    l : int
    weights : array, shape (rows, centres, 2l + 1)
    """

    centres: np.ndarray
    l: int
    weights: np.ndarray

    @property
    def block(self):
        """Flat indices lm of this l."""
        return np.arange(self.l**2, (self.l + 1) ** 2)


def pair_rows(pairs, derivative, form, strengths):
    """Derivatives of the forms of a field that is a sum over pairs, Σ_j q_ja c_ij,lm; for training.

    Parameters
    ----------
    pairs : PairList
    derivative : array, shape (pairs, 3, 2l + 1)
        dc_ij,lm/d(r_j - r_i).
    form : Form
    strengths : array, shape (atoms, channels)

    Returns
    -------
    gradient : array, shape (channels, rows, atoms, 3)
    virial : array, shape (channels, rows, 3, 3)
    """
    n_atoms, n_channels = strengths.shape
    place = np.full(n_atoms, -1)
    place[form.centres] = np.arange(len(form.centres))
    chosen = np.flatnonzero(place[pairs.i] >= 0)
    i, j, vectors = pairs.i[chosen], pairs.j[chosen], pairs.vectors[chosen]
    change = np.einsum("rpm,pcm->prc", form.weights[:, place[i]], derivative[chosen], optimize=True)
    n_rows, count = len(form.weights), np.arange(len(chosen))
    gradient, virial = np.empty((n_channels, n_rows, n_atoms, 3)), np.empty((n_channels, n_rows, 3, 3))
    for a, strength in enumerate(strengths[j].T):
        scatter = coo_array((np.concatenate([strength, -strength]), (np.concatenate([j, i]), np.tile(count, 2))),
                            (n_atoms, len(chosen))).tocsr()
        gradient[a] = (scatter @ change.reshape(len(chosen), -1)).reshape(n_atoms, n_rows, 3).transpose(1, 0, 2)
        virial[a] = np.einsum("pb,prc->rbc", strength[:, None] * vectors, change, optimize=True)
    return gradient, virial
