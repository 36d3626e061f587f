"""Polarizabilities of two water molecules by a kernel made for them alone: how far so many dimers carry at best.

K(A, B) = Σ_P exp(-|d_A - d_PB|²/2) (ISOTROPIC 1⊗1 + G⊗G), G = V_Aᵀ V_PB / 5, over the 8 permutations P that keep the
molecules. d are all 15 distances, those between the molecules as exponentials, in units of the lengths over which the
polarizability changes; V are the four O-H bonds and the direction from one oxygen to the other. Nothing is split among
atoms, no expansion ends, and the kernel is as smooth as the data are.
"""

import contextlib
from itertools import combinations, product

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

from ase_lode.training.response_solve import rms

#: Of bonds and of H-H in a molecule, and of O-O, O-H and H-H between them, Å; the decay of the latter, Å, and where it
#: starts. Twice the lengths of largest marginal likelihood of 200 fitted dimers, which lowers the validation errors.
BOND, BEND, BETWEEN = 1.7, 5.7, {"OO": 3.0, "HO": 2.4, "HH": 5.5}
DECAY, START = 1.6, {"OO": 2.5, "HO": 1.9, "HH": 2.2}
#: Weights of the O-O direction, and of the mean of the polarizability.
DIRECTION, ISOTROPIC = 3.9, 0.2
STRENGTHS = 10.0 ** np.arange(-9, -3)
#: Components of a symmetric tensor, and the weights that keep its norm.
ROWS, COLUMNS = np.array([0, 1, 2, 0, 0, 1]), np.array([0, 1, 2, 1, 2, 2])
WEIGHTS = np.sqrt([1, 1, 1, 2, 2, 2])
#: Structures evaluated together, for memory's sake.
BATCH = 200


def permutations():
    """Those of O, H, H, O, H, H that keep the molecules."""
    for swap, first, second in product((False, True), repeat=3):
        left, right = [0, 2, 1] if first else [0, 1, 2], [3, 5, 4] if second else [3, 4, 5]
        yield right + left if swap else left + right


def distances(positions):
    """All 15 in units of their lengths, (images, 15)."""
    columns = []
    for i, j in combinations(range(6), 2):
        r = np.linalg.norm(positions[:, i] - positions[:, j], axis=1)
        kind = "".join(sorted("OHH"[k % 3] for k in (i, j)))
        if i // 3 == j // 3:
            columns.append(r / (BEND if kind == "HH" else BOND))
        else:
            columns.append(DECAY * np.exp((START[kind] - r) / DECAY) / BETWEEN[kind])
    return np.stack(columns, axis=1)


def vectors(positions):
    """Bonds of the first molecule, negative ones of the second, and the O-O direction, (images, 5, 3).

    A swap of the molecules turns the signs of all, which tensors do not see.
    """
    apart = positions[:, 3] - positions[:, 0]
    direction = DIRECTION * apart / np.linalg.norm(apart, axis=1, keepdims=True)
    bonds = positions[:, [1, 2, 3, 3]] - positions[:, [0, 0, 4, 5]]
    return np.concatenate([bonds, direction[:, None]], axis=1)


def kernel(positions, others):
    """Of the six components of symmetric tensors, (6 images, 6 others)."""
    own, bonds = distances(positions), vectors(positions)
    diagonal = ISOTROPIC * np.outer(ROWS == COLUMNS, ROWS == COLUMNS)
    result = np.zeros((6, 6, len(positions), len(others)))
    for order in permutations():
        other = distances(others[:, order])
        squares = (own**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * own @ other.T
        alike = np.exp(-squares / 2)
        turn = np.einsum("iva,jvb->abij", bonds, vectors(others[:, order]), optimize=True) / 5
        for p, (a, b) in enumerate(zip(ROWS, COLUMNS)):
            for q, (c, d) in enumerate(zip(ROWS, COLUMNS)):
                tensors = WEIGHTS[p] * WEIGHTS[q] * (turn[a, c] * turn[b, d] + turn[a, d] * turn[b, c]) / 2
                result[p, q] += alike * (tensors + diagonal[p, q])
    return result.transpose(2, 0, 3, 1).reshape(6 * len(positions), 6 * len(others))


class PairKernel:
    """Tensors of two water molecules by the kernel, with the strength that suits structures which are not fitted.

    Parameters
    ----------
    positions, tensors : array, shapes (fitted, 6, 3) and (fitted, 3, 3)
        Of O, H, H, O, H, H; Å.
    others, their_tensors : array, shapes (others, 6, 3) and (others, 3, 3)
        Those that choose the strength.
    """

    def __init__(self, positions, tensors, others, their_tensors):
        self._positions, self._kernel = positions, kernel(positions, positions)
        self._mean = np.eye(3) * np.trace(tensors.mean(axis=0)) / 3
        self._labels = ((tensors - self._mean)[:, ROWS, COLUMNS] * WEIGHTS).ravel()
        across = kernel(others, positions)
        fits = [cho_solve((lower, True), self._labels) for lower in self._factors()]
        self._weights = min(fits, key=lambda fit: rms(self._tensors(across @ fit) - their_tensors))

    def __call__(self, positions):
        """Tensors, (images, 3, 3)."""
        parts = [kernel(part, self._positions) @ self._weights
                 for part in np.array_split(positions, range(BATCH, len(positions), BATCH))]
        return self._tensors(np.concatenate(parts))

    def expected_error(self, positions):
        """Root mean square error of the tensors' components that the process itself expects.

        That is the least error of any estimate on average, were the tensors drawn from this process, with the
        amplitude and the strength of largest marginal likelihood. Of their labels it knows only the lengths that they
        helped to choose.
        """
        across = kernel(positions, self._positions)
        own = np.concatenate([kernel(one[None], one[None]).diagonal() for one in positions])
        found = []
        for lower in self._factors():
            whitened = solve_triangular(lower, self._labels, lower=True)
            amplitude = np.mean(whitened**2)
            likelihood = -len(whitened) / 2 * np.log(amplitude) - np.log(lower.diagonal()).sum()
            known = (solve_triangular(lower, across.T, lower=True) ** 2).sum(axis=0)
            found.append((likelihood, np.sqrt(amplitude * np.sum(own - known) / (9 * len(positions)))))
        return max(found)[1]

    def _tensors(self, labels):
        result = np.empty((len(labels) // 6, 3, 3))
        result[:, ROWS, COLUMNS] = result[:, COLUMNS, ROWS] = labels.reshape(-1, 6) / WEIGHTS
        return self._mean + result

    def _factors(self):
        """Lower Cholesky factors of the kernel with each strength that is not lost in its rounding."""
        size = np.mean(self._kernel.diagonal())
        for strength in STRENGTHS:
            with contextlib.suppress(LinAlgError):
                yield cholesky(self._kernel + strength * size * np.eye(len(self._kernel)), lower=True)
