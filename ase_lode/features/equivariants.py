"""Features that turn as tensors: Clebsch-Gordan products of an environment's channels, and Cartesian tensors of them.

E^λ_μ = Σ_mm' <l m; l' m' | λ μ> x_lm,p x_l'm',q in real harmonics. Even l + l' + λ gives tensors that inversion turns
as a product of λ vectors; odd l + l' + λ with λ = 1 gives axial vectors, the antisymmetric part of a tensor of rank 2.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import factorial

import numpy as np

from ase_lode._loops import equivariants as loops
from ase_lode.parallel import run
from ase_lode.radial import LANES

#: Cartesian component of each real harmonic of l = 1, m = -1, 0, 1.
CARTESIAN = [1, 2, 0]
#: Coefficients below this are rounding of zeros.
ZERO = 1e-12


@dataclass(frozen=True)
class Order:
    """How a feature turns: λ, and whether l + l' + λ is odd.

    Attributes
    ----------
    degree : int
        λ.
    axial : bool
    """

    degree: int
    axial: bool = False

    @property
    def size(self):
        """Number of components."""
        return 2 * self.degree + 1

    def couples(self, l_left, l_right):
        """Whether two orders of channels make this one."""
        total = l_left + l_right + self.degree
        return abs(l_left - l_right) <= self.degree <= l_left + l_right and total % 2 == int(self.axial)


#: Orders by name.
ORDERS = {"0": Order(0), "1": Order(1), "2": Order(2), "axial": Order(1, axial=True)}


@lru_cache(maxsize=256)
def clebsch_gordan(a, b, c):
    """<a m; b m' | c m''> for real harmonics, shape (2a + 1, 2b + 1, 2c + 1); Σ_mm' of the squares is 1 for each m''.

    Racah's formula (Edmonds, Angular Momentum in Quantum Mechanics, 3.6.10) turned from complex to real harmonics; for
    odd a + b + c the result is imaginary and its imaginary part is taken.
    """
    plain = np.array([[[_racah(a, b, c, m, k, n) for n in range(-c, c + 1)] for k in range(-b, b + 1)]
                      for m in range(-a, a + 1)])
    real = np.einsum("ax,by,cz,xyz->abc", _real(a).conj(), _real(b).conj(), _real(c), plain)
    return np.ascontiguousarray(real.imag if (a + b + c) % 2 else real.real)


def _racah(j1, j2, j, m1, m2, m):
    if m1 + m2 != m or not abs(j1 - j2) <= j <= j1 + j2:
        return 0.0
    total = 0.0
    for k in range(j1 + j2 - j + 1):
        parts = [k, j1 + j2 - j - k, j1 - m1 - k, j2 + m2 - k, j - j2 + m1 + k, j - j1 - m2 + k]
        if min(parts) >= 0:
            total += (-1) ** k / np.prod([float(factorial(part)) for part in parts])
    norm = (2 * j + 1) * factorial(j + j1 - j2) * factorial(j - j1 + j2) * factorial(j1 + j2 - j)
    norm /= factorial(j1 + j2 + j + 1)
    for whole, part in ((j, m), (j1, m1), (j2, m2)):
        norm *= factorial(whole + part) * factorial(whole - part)
    return np.sqrt(norm) * total


def _real(l):
    """Real harmonics from complex ones, without Condon-Shortley sign in the result."""
    turn = np.zeros((2 * l + 1, 2 * l + 1), complex)
    turn[l, l] = 1.0
    for m in range(1, l + 1):
        sign = (-1.0) ** m
        turn[l + m, [l + m, l - m]] = sign / np.sqrt(2), 1 / np.sqrt(2)
        turn[l - m, [l + m, l - m]] = -1j * sign / np.sqrt(2), 1j / np.sqrt(2)
    return turn


def spherical_vector(vectors):
    """Components of l = 1 of vectors (..., 3)."""
    return vectors[..., CARTESIAN]


def cartesian_vector(components):
    """Vectors of components of l = 1, shape (..., 3)."""
    result = np.empty_like(components)
    result[..., CARTESIAN] = components
    return result


def spherical_tensor(tensors):
    """Components by order of second-rank tensors (..., 3, 3): "0" (..., 1), "axial" (..., 3), "2" (..., 5).

    The three together keep the tensor's norm.
    """
    turned = tensors[..., CARTESIAN, :][..., :, CARTESIAN]
    return {name: np.einsum("...ab,abm->...m", turned, clebsch_gordan(1, 1, ORDERS[name].degree))
            for name in ("0", "axial", "2")}


def cartesian_tensor(parts):
    """The tensors (..., 3, 3) whose components by order are given; orders that are absent count as zero."""
    turned = sum(np.einsum("...m,abm->...ab", part, clebsch_gordan(1, 1, ORDERS[name].degree))
                 for name, part in parts.items())
    result = np.empty_like(turned)
    result[..., np.array(CARTESIAN)[:, None], CARTESIAN] = turned
    return result


class Equivariants:
    """Features of one order.

    Parameters
    ----------
    order : Order
    groups : array of int, shape (groups, 4)
        l and channel of the left factor, l' and first of 8 channels of the right factor.
    """

    def __init__(self, order, groups):
        self.order = order
        self.groups = np.asarray(groups, dtype=np.int64).reshape(-1, 4)
        self.n_features = LANES * len(self.groups)
        pairs = sorted({(int(a), int(b)) for a, _, b, _ in self.groups})
        numbers = {pair: number for number, pair in enumerate(pairs)}
        block = np.array([numbers[int(a), int(b)] for a, _, b, _ in self.groups], dtype=np.int64)
        self._arguments = (block, np.ascontiguousarray(self.groups[:, 1]), np.ascontiguousarray(self.groups[:, 3]),
                           *self._terms(pairs))

    def _terms(self, pairs):
        """Where each component's terms of each pair of orders begin, and lm, l'm' and coefficient of all terms."""
        first = np.zeros((max(len(pairs), 1), self.order.size + 1), dtype=np.int64)
        left, right, coefficient = [], [], []
        for number, (a, b) in enumerate(pairs):
            table = clebsch_gordan(a, b, self.order.degree)
            for m in range(self.order.size):
                first[number, m] = len(left)
                for k, n in zip(*np.nonzero(abs(table[:, :, m]) > ZERO)):
                    left.append(a * a + k)
                    right.append(b * b + n)
                    coefficient.append(table[k, n, m])
            first[number, self.order.size] = len(left)
        return first, np.array(left, dtype=np.int64), np.array(right, dtype=np.int64), np.array(coefficient, float)

    def compute(self, channels, n_threads=1):
        """Features, shape (atoms, 2λ + 1, features), of channels (atoms, lm, channels), a multiple of 8 of them."""
        out = np.empty((len(channels), self.order.size, self.n_features))
        run(loops.products, len(channels), n_threads, channels, *self._arguments, out)
        return out

    def pull_back(self, channels, d_features, d_channels, n_threads=1):
        """Add dE/d(channels) to `d_channels`, given dE/d(features)."""
        run(loops.pull_back, len(channels), n_threads, channels, *self._arguments, d_features, d_channels)
