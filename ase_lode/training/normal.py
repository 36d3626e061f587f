"""Normal equations of a ridge fit, accumulated block by block in one square array: for many rows."""

import numpy as np

from ase_lode.errors import DataError

#: Columns copied at a time between the triangles.
PANEL = 256


class NormalEquations:
    """(XᵀX + strength diag(penalty)) w = Xᵀy for rows that never are in memory together.

    The upper triangle of `gram` accumulates XᵀX, the lower one holds the latest Cholesky factor: 12,000 columns
    need 1.2 GB in all.

    Parameters
    ----------
    n_columns : int
        Number of unknowns.
    """

    def __init__(self, n_columns):
        self.gram = np.zeros((n_columns, n_columns), order="F")
        self.diagonal = np.zeros(n_columns)
        self.moment = np.zeros(n_columns)

    def add(self, rows, targets):
        """Add rows, shape (rows, columns) in C order, and their targets."""
        from scipy.linalg.blas import dsyrk

        np.fill_diagonal(self.gram, self.diagonal)
        dsyrk(1.0, rows.T, beta=1.0, c=self.gram, lower=0, overwrite_c=1)
        self.diagonal = self.gram.diagonal().copy()
        self.moment += targets @ rows

    def solve(self, strength, penalty):
        """Weights, shape (columns,); those of columns with penalty 0 are zero.

        Raises
        ------
        DataError
            The strength is too small for the rounding of the equations.
        """
        from scipy.linalg.lapack import dpotrf, dpotrs

        keep = penalty > 0
        self._restore(keep)
        np.fill_diagonal(self.gram, np.where(keep, self.diagonal + strength * penalty, 1.0))
        _, info = dpotrf(self.gram, lower=1, clean=0, overwrite_a=1)
        if info:
            raise DataError("The normal equations are singular at this regularisation; set "
                            "model.head.regularisation ten times larger.")
        return dpotrs(self.gram, np.where(keep, self.moment, 0.0), lower=1)[0]

    def _restore(self, keep):
        """Copy the upper triangle over the lower one, without the rows and columns that are not kept."""
        n = len(keep)
        for start in range(0, n, PANEL):
            stop = min(start + PANEL, n)
            square = np.triu(self.gram[start:stop, start:stop], 1)
            mask = keep[start:stop, None] & keep[start:stop]
            lower = np.tril(np.ones_like(mask), -1)
            self.gram[start:stop, start:stop] = np.where(lower, square.T * mask, square)
            mask = keep[stop:, None] & keep[start:stop]
            self.gram[stop:, start:stop] = self.gram[start:stop, stop:].T * mask

    def deviations(self, noise):
        """Draws from N(0, (XᵀX + strength penalty)⁻¹) of the latest `solve`, from normal noise (draws, columns)."""
        from scipy.linalg.lapack import dtrtrs

        return dtrtrs(self.gram, noise.T, lower=1, trans=1)[0].T
