"""Slow, plain twins of the compiled field code: sums over pairs, images and wave vectors in NumPy and SciPy."""

import itertools
from functools import partial
from math import pi, sqrt

import numpy as np
from scipy.special import gamma, gammainc, gammaincc, sph_harm_y


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


def remainder(exponent, max_angular, width, positions, cell, pbc, strengths):
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


def exterior_kernel(exponent, max_angular, cutoff, cutoff_width, vectors):
    """(1 - f_c) Y_lm/r^(p+l), zero at the origin."""
    r = np.linalg.norm(vectors, axis=-1)
    inside = np.clip((r - cutoff + cutoff_width) / max(cutoff_width, 1e-300), 0, 1)
    switch = 0.5 * (1 + np.cos(pi * inside)) if cutoff_width > 0 else (r < cutoff).astype(float)
    safe = np.where(r < 1e-9, 1.0, r)
    power = safe[..., None] ** -(exponent + degrees(max_angular)).astype(float)
    result = (1 - switch)[..., None] * power * harmonics(max_angular, vectors)
    return np.where((r < 1e-9)[..., None], 0.0, result)


def image_field(exponent, max_angular, width, positions, cell, pbc, strengths, count):
    """Φ of a slab, wire or crystal from images up to `count` cells away, extrapolated in the number of cells.

    The strengths have to add up to zero unless the power law is short-ranged. The error of a block of cells falls as a
    power of its size, which is found from three sizes.
    """
    sums = []
    for n in (count, 2 * count, 4 * count):
        ranges = [range(-n, n + 1) if periodic else [0] for periodic in pbc]
        vectors = np.array(list(itertools.product(*ranges))) @ cell
        parts = np.array_split(vectors, max(1, len(vectors) // 2000))
        sums.append(sum(sum_images(lambda r: smooth_kernel(exponent, max_angular, width, r), positions, strengths, part)
                        for part in parts))
    first, second = sums[1] - sums[0], sums[2] - sums[1]
    ratio = np.linalg.norm(second) / np.linalg.norm(first)
    return sums[2] + second * ratio / (1 - ratio)


def slab_potential(width, points, positions, cell, strengths):
    """Smooth p = 1 potential of a slab periodic along the first two vectors (Parry's sum), shape (points, channels)."""
    from scipy.special import erf, erfcx

    normal = np.cross(cell[0], cell[1])
    area = np.linalg.norm(normal)
    normal = normal / area
    reciprocal = 2 * pi * np.linalg.pinv(cell[:2]).T
    n = int(8 / width * max(np.linalg.norm(cell[:2], axis=1)) / (2 * pi)) + 2
    m = np.array([pair for pair in itertools.product(range(-n, n + 1), repeat=2) if any(pair)])
    k = m @ reciprocal
    norms = np.linalg.norm(k, axis=1)
    separations = points[:, None] - positions  # [point, j, c]
    z = separations @ normal
    waves = np.cos(separations @ k.T)
    total = np.zeros_like(waves)
    for sign in (1, -1):
        argument = norms * width / sqrt(2) + sign * z[..., None] / (sqrt(2) * width)
        exponent = sign * norms * z[..., None] - argument**2
        # erfc(x) e^y = erfcx(x) e^(y - x²); where x is very negative erfc is 2.
        total += np.where(argument > -5, erfcx(np.maximum(argument, -5)) * np.exp(exponent),
                          2 * np.exp(np.minimum(sign * norms * z[..., None], 0)))
    kernel = pi / area * np.sum(waves * total / norms, axis=-1)
    kernel -= 2 * pi / area * (z * erf(z / (sqrt(2) * width)) + width * sqrt(2 / pi) * np.exp(-(z**2) / (2 * width**2)))
    return kernel @ strengths


def structure(generator, n_atoms, cell, pbc, extent=1.0):
    """A System of random atoms: fractional coordinates times `extent` in the given cell."""
    from ase_lode.system import System, standard_cell

    positions = extent * generator.uniform(0, 1, (n_atoms, 3)) @ cell
    pbc = np.array(pbc, dtype=bool)
    return System(np.ones(n_atoms, dtype=int), positions, standard_cell(np.array(cell, dtype=float), pbc), pbc)


def water(generator, n_side, spacing=3.1):
    """A System of n_side³ water molecules of random orientation on a jittered lattice, and its charges."""
    from ase_lode.system import System

    geometry = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    sites = np.array(list(itertools.product(range(n_side), repeat=3))) * spacing
    positions = []
    for site in sites:
        rotation = np.linalg.qr(generator.normal(size=(3, 3)))[0]
        positions.append(site + generator.uniform(-0.2, 0.2, 3) + geometry @ rotation.T)
    numbers = np.tile([8, 1, 1], len(sites))
    system = System(numbers, np.concatenate(positions), np.eye(3) * n_side * spacing, np.ones(3, dtype=bool))
    return system, np.where(numbers == 8, -0.8, 0.4)[:, None]


def central(function, step):
    """First derivative at zero by central differences with Richardson extrapolation."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


def adjoint_errors(field, system, strengths, weights, n_checked=3, step=2e-4):
    """Largest relative deviations of `pull_back` from central differences of Σ weights * Φ.

    Returns
    -------
    tuple of three float
        For positions, strain and strengths.
    """
    from dataclasses import replace

    from ase_lode.system import standard_cell

    def energy(positions=system.positions, cell=system.cell, strengths=strengths):
        moved = replace(system, positions=positions, cell=cell)
        return np.sum(weights * field.compute(moved, strengths, 1)[0])

    def strained(row, h):
        strain = np.eye(3)
        strain.T[row] += h
        return energy(system.positions @ strain.T, standard_cell(system.cell @ strain.T, system.pbc))

    def displaced(row, h):
        positions = system.positions.copy()
        positions[row] += h
        return energy(positions)

    def recharged(row, h):
        changed = strengths.copy()
        changed[row] += h
        return energy(strengths=changed)

    gradient, virial, d_strengths = field.pull_back(field.compute(system, strengths, 1)[1], weights, 1)
    if min(abs(gradient).max(), abs(virial).max(), abs(d_strengths).max()) == 0:
        raise ValueError("A gradient is zero: the check would prove nothing.")
    n = min(n_checked, len(system))
    numeric = _differences(displaced, (n, 3), step)
    strain = _differences(strained, (3, 3), step / 2)
    charges = _differences(recharged, (n, strengths.shape[1]), 1e-2)
    return tuple(abs(one - other).max() / abs(other).max() for one, other in
                 ((numeric, gradient[:n]), (strain, virial), (charges, d_strengths[:n])))


def _differences(function, shape, step):
    """Derivatives of function(index, h) at h = 0 for every index of an array."""
    return np.array([central(partial(function, index), step) for index in np.ndindex(shape)]).reshape(shape)
