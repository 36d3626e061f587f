"""Slow, plain twins of the compiled field code: sums over pairs, images and wave vectors in NumPy and SciPy."""

import itertools
from math import pi, sqrt

import numpy as np
from scipy.special import exp1, gamma, gammainc, gammaincc, sph_harm_y


def harmonics(max_angular, vectors):
    """Real spherical harmonics at l² + l + m, no Condon-Shortley sign; the origin counts as the z axis.

    Parameters
    ----------
    max_angular : int
    vectors : array, shape (..., 3)

    Returns
    -------
    array, shape (..., (max_angular+1)²)
    """
    x, y, z = np.moveaxis(np.asarray(vectors, dtype=float), -1, 0)
    polar, azimuth = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    result = []
    for degree in range(max_angular + 1):
        for m in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(m), polar, azimuth)
            if m == 0:
                result.append(value.real)
            else:
                result.append(sqrt(2) * (-1) ** m * (value.imag if m < 0 else value.real))
    return np.stack(result, axis=-1)


def degrees(max_angular):
    """l at every flat index."""
    return np.array([degree for degree in range(max_angular + 1) for _ in range(2 * degree + 1)])


def smooth_kernel(exponent, max_angular, width, vectors):
    """P(p/2 + l, r²/2s²) Y_lm/r^(p+l) for vectors (..., 3); the limit at the origin."""
    r = np.linalg.norm(vectors, axis=-1)
    lower = np.stack([gammainc(exponent / 2 + degree, r**2 / (2 * width**2)) for degree in range(max_angular + 1)], -1)
    safe = np.where(r < 1e-9, 1.0, r)
    power = safe[..., None] ** -(exponent + degrees(max_angular)).astype(float)
    result = lower[..., degrees(max_angular)] * power * harmonics(max_angular, vectors)
    origin = np.zeros(result.shape[-1])
    origin[0] = (2 * width**2) ** (-exponent / 2) / gamma(exponent / 2 + 1) / sqrt(4 * pi)
    return np.where((r < 1e-9)[..., None], origin, result)


def remainder_kernel(exponent, max_angular, width, vectors):
    """Q(p/2 + l, r²/2s²) Y_lm/r^(p+l): what the smooth kernel leaves of the point source's, zero at the origin."""
    r = np.linalg.norm(vectors, axis=-1)
    upper = np.stack([gammaincc(exponent / 2 + degree, r**2 / (2 * width**2)) for degree in range(max_angular + 1)], -1)
    safe = np.where(r < 1e-9, 1.0, r)
    power = safe[..., None] ** -(exponent + degrees(max_angular)).astype(float)
    result = upper[..., degrees(max_angular)] * power * harmonics(max_angular, vectors)
    return np.where((r < 1e-9)[..., None], 0.0, result)


def self_term(exponent, width):
    """The l = 0 field of an atom's own smooth source, per unit of strength."""
    return (2 * width**2) ** (-exponent / 2) / gamma(exponent / 2 + 1) / sqrt(4 * pi)


def images(cell, pbc, reach):
    """Lattice vectors of the images within a reach, nearest first; the zero vector comes first."""
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    counts = [int(np.ceil(reach / height)) + 1 if periodic else 0 for height, periodic in zip(heights, pbc)]
    vectors = np.array(list(itertools.product(*[range(-n, n + 1) for n in counts]))) @ cell
    return vectors[np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")]


def sum_images(kernel, positions, strengths, vectors):
    """Σ_j q_ja Σ_T kernel(r_j - r_i + T), shape (atoms, channels, lm)."""
    pairs = positions[None, :, None] - positions[:, None, None] + vectors  # [i, j, T, c]
    return np.einsum("ijf,ja->iaf", np.stack([kernel(rows).sum(axis=1) for rows in pairs]), strengths)


def remainder(exponent, max_angular, width, positions, cell, pbc, strengths, tolerance=1e-16):
    """The real-space remainder summed over every image that matters."""
    reach = width * sqrt(2 * 40) + np.ptp(positions, axis=0).sum()
    vectors = images(cell, pbc, reach)
    return sum_images(lambda r: remainder_kernel(exponent, max_angular, width, r), positions, strengths, vectors)


def transform(exponent, width, k):
    """v̂_p(k) by its defining integral over Gaussians, k > 0 (p = 0: the Gaussian density)."""
    if exponent == 0:
        return (4 * pi * width**2) ** 0.75 * np.exp(-(width * k) ** 2 / 2)
    points, weights = np.polynomial.legendre.leggauss(400)
    # v_p = 2/Γ(p/2) ∫_0^X x^(p-1) e^(-x²r²) dx; with x = X/u the Gaussians' transforms fall off towards u → ∞.
    end = 1 / (sqrt(2) * width)
    x = end * 0.5 * (1 + points)
    integrand = x ** (exponent - 4) * np.exp(-np.asarray(k)[..., None] ** 2 / (4 * x**2))
    return 2 / gamma(exponent / 2) * pi**1.5 * (integrand * weights).sum(axis=-1) * end / 2


def wave_vectors(cell, k_cutoff):
    """All reciprocal lattice vectors with 0 < |k| ≤ k_cutoff."""
    reciprocal = 2 * pi * np.linalg.inv(cell).T
    counts = [int(k_cutoff * np.linalg.norm(vector) / (2 * pi)) + 1 for vector in cell]
    k = np.array(list(itertools.product(*[range(-n, n + 1) for n in counts]))) @ reciprocal
    norms = np.linalg.norm(k, axis=1)
    return k[(norms > 1e-9) & (norms <= k_cutoff)]


def bulk_field(exponent, max_angular, width, positions, cell, strengths, k_cutoff=None):
    """Φ of a fully periodic system by the sum over all k, without k = 0 for p ≤ 3."""
    k = wave_vectors(cell, k_cutoff or 9.5 / width)
    norms = np.linalg.norm(k, axis=1)
    volume = abs(np.linalg.det(cell))
    factors = np.cumprod([1.0] + [exponent + 2 * degree for degree in range(max_angular)])[degrees(max_angular)]
    angular = (1j * norms[:, None]) ** degrees(max_angular) * harmonics(max_angular, k) / factors
    phases = np.exp(1j * positions @ k.T)  # [i, k]
    sums = phases.conj().T @ strengths  # [k, a]
    weights = transform(exponent, width, norms) / volume
    result = np.einsum("ik,ka,kf,k->iaf", phases, sums, angular, weights, optimize=True).real
    if exponent > 3:
        limit = pi**1.5 / gamma(exponent / 2) * (2 * width**2) ** ((3 - exponent) / 2) * 2 / (exponent - 3)
        result[:, :, 0] += limit / volume * strengths.sum(axis=0) / sqrt(4 * pi)
    return result
