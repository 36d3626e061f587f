"""Exterior fields by brute force: real-space sums over images in NumPy, for every periodicity."""

from itertools import pairwise
from math import gamma, pi, sqrt

import numpy as np
from reference import harmonics, images, remainder_kernel, self_term

from ase_lode.field import background


def switch(r, cutoff, width):
    """1 up to cutoff - width, 0 from the cutoff on, half a cosine between."""
    t = np.clip((r - cutoff + width) / width, 0.0, 1.0)
    return 0.5 * (1 + np.cos(pi * t))


def degrees(max_angular):
    """l of every flat index."""
    return np.repeat(np.arange(max_angular + 1), 2 * np.arange(max_angular + 1) + 1)


def point_kernel(exponent, max_angular, vectors):
    """Y_lm(r̂)/r^(p+l), zero at the origin."""
    r = np.linalg.norm(vectors, axis=-1)
    safe = np.where(r < 1e-9, 1.0, r)[..., None]
    values = harmonics(max_angular, vectors) * safe ** -(exponent + degrees(max_angular)).astype(float)
    return np.where((r < 1e-9)[..., None], 0.0, values)


def interior(exponent, max_angular, cutoff, width, vectors):
    """f_c(r) Y_lm(r̂)/r^(p+l): what the exterior field leaves out."""
    r = np.linalg.norm(vectors, axis=-1)[..., None]
    return switch(r, cutoff, width) * point_kernel(exponent, max_angular, vectors)


def pair_sum(kernel, positions, strengths, translations):
    """Σ_j q_ja Σ_T kernel(r_j - r_i + T), shape (atoms, channels, lm), row by row to save memory."""
    rows = [kernel(positions[:, None] - centre + translations).sum(axis=1) for centre in positions]
    return np.einsum("ijf,ja->iaf", np.array(rows), strengths)


def exterior_bulk(exponent, max_angular, cutoff, width, positions, cell, strengths):
    """Exterior field of a fully periodic system in real space alone.

    The sum is damped by Q(p/2 + l, r²/2s²) with s so large that no wave vector but zero is left in the complement;
    what zero leaves is a constant at l = 0, and so is the complement's own source.
    """
    shortest = min(np.linalg.norm(2 * pi * np.linalg.inv(cell).T @ m) for m in np.vstack([np.eye(3), 1 - np.eye(3)]))
    s = 7.5 / shortest
    translations = images(cell, np.ones(3, bool), s * sqrt(2 * 32) + np.ptp(positions, axis=0).sum())
    field = pair_sum(lambda v: remainder_kernel(exponent, max_angular, s, v), positions, strengths, translations)
    near = images(cell, np.ones(3, bool), cutoff + np.ptp(positions, axis=0).sum())
    field -= pair_sum(lambda v: interior(exponent, max_angular, cutoff, width, v), positions, strengths, near)
    mean = background(exponent, s, cutoff)
    if exponent > 3:
        mean = pi**1.5 / gamma(exponent / 2) * (2 * s**2) ** ((3 - exponent) / 2) * 2 / (exponent - 3)
    field[:, :, 0] += mean / abs(np.linalg.det(cell)) * strengths.sum(axis=0) / sqrt(4 * pi)
    field[:, :, 0] -= self_term(exponent, s) * strengths
    return field


def exterior_partial(exponent, max_angular, cutoff, width, positions, cell, pbc, strengths, radius):
    """Exterior field of a neutral wire or slab by direct summation over whole cells.

    Cells count with a taper of their distance, whose sum differs from the lattice sum by even powers of 1/radius after
    the first (their multipoles integrated beyond it); two doublings of the radius take the first two powers out.
    """
    vectors = cell[pbc]
    power = exponent + 2 - len(vectors)  # neutral cells fall as r^-(p+2) once opposite cells are added
    sums = [_tapered(exponent, max_angular, positions, vectors, strengths, radius * 2**k) for k in range(3)]
    first = [(2**power * b - a) / (2**power - 1) for a, b in pairwise(sums)]
    field = (2 ** (power + 2) * first[1] - first[0]) / (2 ** (power + 2) - 1)
    near = images(cell, pbc, cutoff + np.ptp(positions, axis=0).sum())
    return field - pair_sum(lambda v: interior(exponent, max_angular, cutoff, width, v), positions, strengths, near)


def _tapered(exponent, max_angular, positions, vectors, strengths, radius):
    """Σ over cells of taper(|T|/radius), falling smoothly from 1 at 0.3 to 0 at 1."""
    norms = np.linalg.norm(vectors, axis=1)
    cosine = vectors[0] @ vectors[-1] / norms[0] / norms[-1] if len(vectors) == 2 else 0.0
    counts = (radius / norms / np.sqrt(1 - cosine**2)).astype(int)
    grids = np.meshgrid(*[np.arange(-n, n + 1) for n in counts], indexing="ij")
    translations = np.stack(grids, axis=-1).reshape(-1, len(vectors)) @ vectors
    x = np.clip((np.linalg.norm(translations, axis=1) / radius - 0.3) / 0.7, 1e-9, 1 - 1e-9)
    rise, fall = np.exp(-1 / x), np.exp(-1 / (1 - x))
    taper = (fall / (rise + fall))[:, None]
    keep = taper[:, 0] > 1e-18
    return pair_sum(lambda v: taper[keep] * point_kernel(exponent, max_angular, v), positions, strengths,
                    translations[keep])
