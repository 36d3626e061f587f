"""Steps for matrices of weights that change every direction by the same amount."""

import numpy as np

#: Quintic Newton-Schulz iteration that takes singular values between 0 and 1 to about 1 (between 0.7 and 1.2).
COEFFICIENTS, ITERATIONS = (3.4445, -4.7750, 2.0315), 5


def orthogonalised(matrices):
    """The nearest semi-orthogonal matrices, scaled to entries of about unit size.

    A step along them, in place of a momentum whose few large singular values hide all others, is the optimiser Muon
    (K. Jordan et al., 2024, kellerjordan.github.io/posts/muon). On the dipeptides 4,000 steps reach lower errors than
    20,000 of Adam.

    Parameters
    ----------
    matrices : array, shape (matrices, rows, columns)
        Single precision is enough for a direction.

    Returns
    -------
    array, shape (matrices, rows, columns)
    """
    x = matrices.astype(np.float32)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(0, 2, 1)
    peak = np.maximum(abs(x).max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    x = np.ascontiguousarray(x / peak)
    x /= np.maximum(np.linalg.norm(x, axis=(1, 2), keepdims=True), 1.0)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.transpose(0, 2, 1)
        x = a * x + (b * square + c * (square @ square)) @ x
    x = x.transpose(0, 2, 1) if tall else x
    return np.sqrt(max(x.shape[1:])) * x.astype(float)
