"""Polarizability of water molecules whose induced dipoles interact, with Thole's exponential damping.

Thole, Chem. Phys. 59, 341 (1981). A cheap model of what molecules do to each other.
"""

import numpy as np


def polarizability(alone, positions, weights, radius):
    """Of all molecules together, (3, 3) in Å³.

    Parameters
    ----------
    alone : array, shape (molecules, 3, 3)
        Polarizabilities of the molecules by themselves, Å³.
    positions : array, shape (3 molecules, 3)
        O, H, H of each, Å.
    weights : array, shape (3,)
        Of O, H, H: where a molecule's dipole sits.
    radius : float
        Of the damping, Å.
    """
    n = len(alone)
    sites = np.einsum("a,nax->nx", weights, np.reshape(positions, (n, 3, 3)))
    apart = sites[:, None] - sites
    r = np.linalg.norm(apart, axis=-1)
    np.fill_diagonal(r, 1.0)  # replaced below
    cube = (r / radius) ** 3
    along = np.einsum("ijx,ijy->ijxy", apart, apart) / r[..., None, None] ** 2
    damped, screened = 3 * (1 - (1 + cube) * np.exp(-cube)), 1 - np.exp(-cube)
    matrix = -(damped[..., None, None] * along - screened[..., None, None] * np.eye(3)) / r[..., None, None] ** 3
    matrix[np.diag_indices(n)] = np.linalg.inv(alone)
    together = np.linalg.inv(matrix.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n))
    return together.reshape(n, 3, n, 3).sum(axis=(0, 2))
