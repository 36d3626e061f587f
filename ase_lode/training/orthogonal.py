"""Ridge fit by singular values, exact to rounding however few the rows: for problems that fit into memory."""

from itertools import pairwise

import numpy as np


class Orthogonal:
    """Minimises |Xw - y|² + Σ_c strength penalty_c w_c² for any strength after one factorisation.

    Parameters
    ----------
    rows : array, shape (rows, columns)
        X.
    targets : array, shape (rows,)
        y.
    penalty : array, shape (columns,)
        Relative penalty of each column; columns with penalty 0 get weight 0.
    """

    def __init__(self, rows, targets, penalty):
        from scipy.linalg import svd

        self._scale = np.where(penalty > 0, 1 / np.sqrt(np.where(penalty > 0, penalty, 1.0)), 0.0)
        self.left, self.values, self.right = svd(rows * self._scale, full_matrices=False, lapack_driver="gesdd")
        self._targets = targets
        self._projected = self.left.T @ targets

    def solve(self, strength):
        """Weights, shape (columns,)."""
        return self._scale * (self.right.T @ (self.values / (self.values**2 + strength) * self._projected))

    def deviations(self, strength, noise):
        """Draws from N(0, (XᵀX + strength penalty)⁻¹), from standard normal noise (draws, columns)."""
        inside = noise @ self.right.T
        free = noise - inside @ self.right
        drawn = (inside / np.sqrt(self.values**2 + strength)) @ self.right + free / np.sqrt(strength)
        return drawn * self._scale

    def leave_out(self, strength, first):
        """Errors of every structure predicted without it, and their standard deviations for unit noise.

        With H = X (XᵀX + λ)⁻¹ Xᵀ and b the rows of one structure, the errors are (1 - H_bb)⁻¹ (Hy - y)_b and the
        variances of the prediction the diagonal of (1 - H_bb)⁻¹ - 1. The singular values give 1 - H without
        cancellation.

        Parameters
        ----------
        first : array of int, shape (structures + 1,)
            First row of every structure.

        Returns
        -------
        errors, sigma : arrays, shape (rows,)
        """
        rest = strength / (self.values**2 + strength)
        beyond = self.left.shape[0] > self.left.shape[1]  # then the left vectors do not span every row
        residual = -self.left @ (rest * self._projected)
        if beyond:
            residual += self.left @ self._projected - self._targets
        errors, variance = np.empty_like(residual), np.empty_like(residual)
        for start, stop in pairwise(first):
            left = self.left[start:stop]
            complement = (left * rest) @ left.T
            if beyond:
                complement += np.eye(stop - start) - left @ left.T
            inverse = np.linalg.pinv(complement, rcond=1e-15, hermitian=True)
            errors[start:stop] = inverse @ residual[start:stop]
            variance[start:stop] = inverse.diagonal() - 1
        return errors, np.sqrt(np.maximum(variance, 0))
