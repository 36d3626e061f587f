"""Layers of a network: matrices by class of row, perceptrons by element, invariants of channels; each with adjoint."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import sph_harm_y

from ase_lode import memory
from ase_lode._loops import dense, invariants
from ase_lode.parallel import run
from ase_lode.radial import LANES


@dataclass(frozen=True)
class Rows:
    """Rows of one class in groups of 8, the last row of a class repeated to fill its last group.

    Attributes
    ----------
    rows : array of int, shape (groups, 8)
    counts : array of int, shape (groups,)
        Rows of a group that are not repetitions.
    classes : array of int, shape (groups,)
    """

    rows: np.ndarray
    counts: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, rows, classes):
        """Groups of some rows, given the class of each."""
        order = np.argsort(classes, kind="stable")
        rows, classes = rows[order], classes[order]
        names, begin, counts = np.unique(classes, return_index=True, return_counts=True)
        groups = -(-counts // LANES)
        owner = np.repeat(np.arange(len(names)), groups)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(groups) - groups, groups)
        place = number[:, None] * LANES + np.arange(LANES)
        filled = np.minimum(counts[owner] - number * LANES, LANES)
        place = np.minimum(place, counts[owner][:, None] - 1)
        return cls(rows[begin[owner][:, None] + place], filled, names[owner])

    def multiply(self, x, weights, n_threads):
        """x[r] @ weights[class of r] for every row; the columns of `weights` come in multiples of 8."""
        out = memory.empty((len(x), weights.shape[2]))
        run(dense.multiply, len(self.rows), n_threads, self.rows, self.classes, x, weights, True, out)
        return out

    def add_product(self, x, weights, out, n_threads):
        """out[r] += x[r] @ weights[class of r]."""
        run(dense.multiply, len(self.rows), n_threads, self.rows, self.classes, x, weights, False, out)

    def add_outer(self, x, d_out, d_weights):
        """d_weights[class of r] += x[r]ᵀ d_out[r]."""
        dense.add_outer(0, len(self.rows), self.rows, self.counts, self.classes, x, d_out, d_weights)


def transposed(weights):
    """Matrices (class, q, k) as (class, k, q), contiguous."""
    return memory.copy(weights.transpose(0, 2, 1))


class Perceptron:
    """y = W₃ s(W₂ s(W₁ x + b₁) + b₂) + D x + b₃ by element, with s(x) = x/(1 + e^-x).

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden layers, outputs; multiples of 8.
    """

    def __init__(self, sizes):
        self._pairs = list(zip(sizes, sizes[1:]))
        self.depth = len(self._pairs)
        self._direct = (sizes[0], sizes[-1])

    def shapes(self, n_classes):
        """Shapes of the parameters."""
        result = {"direct": (n_classes, *self._direct)}
        for depth, pair in enumerate(self._pairs):
            result[f"weights{depth}"] = (n_classes, *pair)
            result[f"bias{depth}"] = (n_classes, pair[1])
        return result

    def compute(self, parameters, centres, x, n_threads):
        """Outputs, and the state that `pull_back` needs."""
        state, y = [], x
        for depth in range(self.depth):
            z = memory.copy(parameters[f"bias{depth}"][centres.species])
            centres.atoms.add_product(y, parameters[f"weights{depth}"], z, n_threads)
            if depth < self.depth - 1:
                switch = 0.5 + 0.5 * np.tanh(0.5 * z)
                state.append((y, z, switch))
                y = z * switch
        centres.atoms.add_product(x, parameters["direct"], z, n_threads)
        return z, (*state, (y, None, None))

    def pull_back(self, parameters, centres, state, d_y, d_parameters, n_threads):
        """dE/dx given dE/dy; adds dE/d(parameters) unless that is None."""
        rows = centres.atoms
        d_x = rows.multiply(d_y, parameters.turned("direct"), n_threads)
        if d_parameters is not None:
            rows.add_outer(state[0][0], d_y, d_parameters["direct"])
        d_z = d_y
        for depth in reversed(range(self.depth)):
            if d_parameters is not None:
                rows.add_outer(state[depth][0], d_z, d_parameters[f"weights{depth}"])
                for c in np.unique(centres.species):
                    d_parameters[f"bias{depth}"][c] += d_z[centres.species == c].sum(axis=0)
            weights = parameters.turned(f"weights{depth}")
            if depth == 0:
                rows.add_product(d_z, weights, d_x, n_threads)
            else:
                _, z, switch = state[depth - 1]
                d_z = rows.multiply(d_z, weights, n_threads) * switch * (1.0 + z * (1.0 - switch))
        return d_x


class Invariants:
    """Numbers of body order 2 to 4 made of each channel alone: x_00, Σ_m x_lm², Σ g x_lm x_l'm' x_l''m''.

    The cubic ones contract with the integral of three harmonics (Gaunt), one for every l ≤ l' ≤ l'' with an even sum
    that fulfils the triangle rule, l ≥ 1 and l'' ≤ `cubic_angular`, each scaled to Σ g² = 1.

    Parameters
    ----------
    max_angular, cubic_angular : int
    """

    def __init__(self, max_angular, cubic_angular):
        self._l_max = max_angular
        self._terms = cubic_terms(min(cubic_angular, max_angular))
        self._slopes = cubic_slopes(min(cubic_angular, max_angular))
        self.count = max_angular + len(self._terms[0])

    def compute(self, channels, n_threads):
        """Shape (atoms, count, channels) from (atoms, lm, channels)."""
        out = memory.empty((len(channels), self.count, channels.shape[2]))
        run(invariants.invariants, len(channels), n_threads, channels, self._l_max, *self._terms, out)
        return out

    def pull_back(self, channels, d_out, n_threads):
        """dE/d(channels)."""
        d_channels = memory.empty(channels.shape)
        run(invariants.pull_back, len(channels), n_threads, channels, self._l_max, *self._slopes, d_out, d_channels)
        return d_channels


@lru_cache(maxsize=8)
def cubic_terms(l_max):
    """First term of each triple of orders, and the terms' flat lm (three times) and factors."""
    first, terms = [0], []
    triples = [(a, b, c) for a in range(1, l_max + 1) for b in range(a, l_max + 1)
               for c in range(b, min(a + b, l_max) + 1) if (a + b + c) % 2 == 0]
    harmonics, weights = _sphere(l_max)
    for a, b, c in triples:
        blocks = [harmonics[:, l * l:(l + 1) ** 2] for l in (a, b, c)]
        table = np.einsum("p,pa,pb,pc->abc", weights, *blocks, optimize=True)
        table /= np.linalg.norm(table)
        merged = {}
        for index in np.argwhere(abs(table) > 1e-10):
            key = tuple(sorted(int(l * l + m) for l, m in zip((a, b, c), index)))
            merged[key] = merged.get(key, 0.0) + table[tuple(index)]
        terms += [(*key, factor) for key, factor in sorted(merged.items())]
        first.append(len(terms))
    columns = list(zip(*terms)) or [(), (), (), ()]
    return (np.array(first), *(np.array(column, dtype=np.int64) for column in columns[:3]), np.array(columns[3], float))


@lru_cache(maxsize=8)
def cubic_slopes(l_max):
    """Their derivatives: for each triple and component, the products of two components and the factors of their sum.

    Returns
    -------
    owner, component : arrays of int, shape (derivatives,)
        Triple, and flat lm of the component by which it is differentiated.
    first : array of int, shape (derivatives + 1,)
        First product of each derivative.
    left, right : arrays of int
        Flat lm of the products' factors.
    factor : array
    """
    first, *columns, factors = cubic_terms(l_max)
    slopes = {}
    for f in range(len(first) - 1):
        for t in range(first[f], first[f + 1]):
            term = [int(column[t]) for column in columns]
            for place in range(3):
                others = tuple(term[:place] + term[place + 1:])
                here = slopes.setdefault((f, term[place]), {})
                here[others] = here.get(others, 0.0) + factors[t]
    products = [(*pair, g) for here in slopes.values() for pair, g in here.items()]
    owner, component = (np.array(column, dtype=np.int64) for column in (list(zip(*slopes)) or [(), ()]))
    left, right, factor = list(zip(*products)) or [(), (), ()]
    counts = [len(here) for here in slopes.values()]
    return (owner, component, np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            np.array(left, dtype=np.int64), np.array(right, dtype=np.int64), np.array(factor, dtype=float))


def _sphere(l_max):
    """Real harmonics (points, lm) and weights of a product quadrature exact for three of them."""
    z, w = np.polynomial.legendre.leggauss(2 * l_max + 2)
    phi = 2 * np.pi * np.arange(4 * l_max + 4) / (4 * l_max + 4)
    theta, phi = np.repeat(np.arccos(z), len(phi)), np.tile(phi, len(z))
    columns = []
    for l in range(l_max + 1):
        for m in range(-l, l + 1):
            y = sph_harm_y(l, abs(m), theta, phi) * (-1.0) ** m
            columns.append(y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag))
    return np.array(columns).T, np.repeat(w, 4 * l_max + 4) * 2 * np.pi / (4 * l_max + 4)
