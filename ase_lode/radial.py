"""Functions of one distance: the cutoff function, radial bases, and tables with an error bound."""

from fractions import Fraction
from functools import lru_cache
from math import lcm

import numpy as np
from scipy.special import gamma, roots_legendre, spherical_jn

#: Quadrature points of radial integrals come in multiples of this; for smooth integrands once is at rounding.
POINTS = 128
#: Error of a table relative to its largest value. Well below every tolerance of a potential.
TABLE_ERROR = 1e-10
#: Radial functions are padded to a multiple of this, the length of the innermost compiled loops.
LANES = 8
#: Fewest and most intervals of a table; 8192 intervals of 8 functions take 1 MB, the second-level cache of a core.
MIN_INTERVALS = 256
MAX_INTERVALS = 8192


def shifted_cosine(r, cutoff, width):
    """featomic's ShiftedCosine cutoff function: 1 up to cutoff - width, 0 from the cutoff on; a step if width is 0."""
    if width == 0:
        return np.where(r <= cutoff, 1.0, 0.0)  # the limit from inside, for tables that end at the cutoff
    t = np.clip((r - cutoff + width) / width, 0.0, 1.0)
    return 0.5 * (1.0 + np.cos(np.pi * t))


def shifted_cosine_slope(r, cutoff, width):
    """Derivative of `shifted_cosine` by r."""
    if width == 0:
        return np.zeros_like(r)
    t = np.clip((r - cutoff + width) / width, 0.0, 1.0)
    return -0.5 * np.pi / width * np.sin(np.pi * t)


class GTOBasis:
    """featomic's Gaussian-type orbitals: x^n exp(-x²/2σ_n²), n = 0.., orthonormalised by S^(-1/2) over all space.

    Parameters
    ----------
    cutoff : float
        Radius that spaces the widths σ_n = cutoff max(√n, 1)/max_radial, in Å.
    max_radial : int
        Number of functions.
    """

    def __init__(self, cutoff, max_radial):
        n = np.arange(max_radial)
        self._sigma = cutoff * np.maximum(np.sqrt(n), 1.0) / max_radial
        exponent = n[:, None] + n + 2
        width = 1.0 / np.sqrt(1.0 / self._sigma[:, None] ** 2 + 1.0 / self._sigma**2)
        # ∫ x^e exp(-x²/2w²) dx over the half line
        overlap = 0.5 * (2 * width**2) ** ((exponent + 1) / 2) * gamma((exponent + 1) / 2)
        self._norm = 1.0 / np.sqrt(np.diag(overlap))
        overlap *= self._norm[:, None] * self._norm
        values, vectors = np.linalg.eigh(overlap)
        self._mix = vectors @ np.diag(values**-0.5) @ vectors.T
        self._n = n
        #: Width of the widest function; the reach is where its square has fallen to rounding.
        self.widest = self._sigma[-1]
        self.reach = self.widest * (np.sqrt(2 * max_radial) + 8.0)

    def functions(self, x):
        """R_n(x), shape (n, points)."""
        x = np.asarray(x, dtype=float)
        raw = self._norm[:, None] * x ** self._n[:, None] * np.exp(-(x**2) / (2 * self._sigma[:, None] ** 2))
        return self._mix @ raw


class CompactBasis:
    """Orthonormal polynomials in a stretched distance times an envelope that ends at the cutoff.

    With t = x/cutoff the functions are (1 - t²)³ T_k(2u - 1), u = t (1 + a)/(1 + a t), k = 0..: the map resolves the
    distances of bonds finer than the rim. They are made orthonormal under x² dx in the order of k, so that low
    functions stay smooth.

    Parameters
    ----------
    cutoff : float
        Where all functions end, with two continuous derivatives, in Å.
    max_radial : int
        Number of functions.
    """

    #: Strength a of the map.
    STRETCH = 2.0

    def __init__(self, cutoff, max_radial):
        self.reach = cutoff
        self._count = max_radial
        x, w = quadrature(cutoff)
        q, r = np.linalg.qr((np.sqrt(w) * x * self._raw(x)).T)
        self._mix = (np.linalg.inv(r) * np.sign(np.diag(r))).T

    def _raw(self, x):
        t = np.minimum(np.asarray(x, dtype=float) / self.reach, 1.0)
        u = t * (1 + self.STRETCH) / (1 + self.STRETCH * t)
        return (1 - t**2) ** 3 * np.cos(np.arange(self._count)[:, None] * np.arccos(np.clip(2 * u - 1, -1, 1)))

    def functions(self, x):
        """R_n(x), shape (n, points); zero from the cutoff on."""
        return self._mix @ self._raw(x)


def make_basis(kind, cutoff, max_radial):
    """The radial basis named in a configuration."""
    return {"gto": GTOBasis, "compact": CompactBasis}[kind](cutoff, max_radial)


def quadrature(reach, finest=np.inf):
    """Gauss-Legendre points and weights on [0, reach] for integrands whose finest Gaussian has the width `finest`."""
    x, w = _legendre(POINTS * int(1 + 10 * reach / finest / POINTS))
    return 0.5 * reach * (x + 1), 0.5 * reach * w


@lru_cache(maxsize=16)
def _legendre(points):
    return roots_legendre(points)


def gaussian_density_integrals(basis, smearing, max_angular, r):
    """Radial integrals of a Gaussian density at distance r, featomic's definition, and their slopes.

    R_nl(r) = 4π ∫ x² R_n(x) [g(x) g(r)/g(0)] i_l(xr/σ²) dx, with g = (πσ²)^(-3/4) exp(-r²/2σ²) and i_l the modified
    spherical Bessel function; the slope follows from i_l' = i_(l+1) + (l/z) i_l.

    Returns
    -------
    values, slopes : arrays, shape (points, max_angular + 1, n)
    """
    x, w = quadrature(basis.reach, smearing)
    weighted = (w * x**2 * basis.functions(x)).T  # [x, n]
    r = np.maximum(np.asarray(r, dtype=float), 1e-13)[:, None]
    prefactor = 4 * np.pi * (np.pi * smearing**2) ** -0.75 * np.exp(-((x - r) ** 2) / (2 * smearing**2))
    bessel = _scaled_bessel(max_angular + 1, x * r / smearing**2)
    values, slopes = [], []
    for l in range(max_angular + 1):
        change = (x * bessel[l + 1] - r * bessel[l]) / smearing**2 + l / r * bessel[l]
        values.append((prefactor * bessel[l]) @ weighted)
        slopes.append((prefactor * change) @ weighted)
    return np.stack(values, axis=1), np.stack(slopes, axis=1)


def _scaled_bessel(l_max, z):
    """exp(-z) i_l(z) for l = 0..l_max: recursion upwards where z is large, by ratios from above where it is not.

    The ratio i_l/i_(l-1) = 1/(i_(l+1)/i_l + (2l+1)/z) is a continued fraction that forgets where it was started.
    """
    border = 4.0 * (l_max + 2)
    up, down = np.maximum(z, border), np.clip(z, 1e-30, border)
    rising = [-np.expm1(-2 * up) / (2 * up)]
    rising.append((1 + np.exp(-2 * up)) / (2 * up) - rising[0] / up)
    for l in range(1, l_max):
        rising.append(rising[l - 1] - (2 * l + 1) / up * rising[l])
    ratio, ratios = 0.0, {}
    for l in range(6 * l_max + 50, 0, -1):
        ratio = 1.0 / (ratio + (2 * l + 1) / down)
        if l <= l_max:
            ratios[l] = ratio
    falling = [-np.expm1(-2 * down) / (2 * down)]
    for l in range(1, l_max + 1):
        falling.append(falling[l - 1] * ratios[l])
    return [np.where(z > border, *pair) for pair in zip(rising, falling)]


class RadialTable:
    """Radial functions on equidistant nodes, as compiled loops read them: cubic Hermite splines.

    Parameters
    ----------
    function : callable
        Distances (points,) → values and slopes, both (points, 1 or max_angular + 1, n), zero at `reach`.
    reach : float
        Where the table ends, in Å.
    kinks : sequence of float
        Distances where the second derivative jumps; they become nodes, since a spline across them would be poor.

    Attributes
    ----------
    table : array, shape (nodes, 2, 1 or max_angular + 1, lanes)
        Values and slopes times `step`, padded with zeros to whole lanes.
    n_radial : int
        Number of functions before padding.
    step : float
        Distance of the nodes in Å.
    error : float
        Largest error midway between nodes, relative to the largest value.
    """

    def __init__(self, function, reach, kinks=()):
        parts = lcm(*(Fraction(kink / reach).limit_denominator(1000).denominator for kink in kinks))
        intervals = parts * -(-MIN_INTERVALS // parts)
        r = np.linspace(0.0, reach, intervals + 1)
        values, slopes = function(r)
        while True:
            self.step = r[1]
            between = r[:-1] + 0.5 * self.step
            exact, exact_slopes = function(between)
            spline = 0.5 * (values[1:] + values[:-1]) + 0.125 * self.step * (slopes[:-1] - slopes[1:])
            self.error = np.abs(spline - exact).max() / max(np.abs(values).max(), np.finfo(float).tiny)
            if self.error <= TABLE_ERROR or 2 * len(r) > MAX_INTERVALS:
                break
            order = np.argsort(np.concatenate([r, between]))
            r = np.concatenate([r, between])[order]
            values = np.concatenate([values, exact])[order]
            slopes = np.concatenate([slopes, exact_slopes])[order]
        slopes = slopes * self.step
        self.n_radial = values.shape[2]
        lanes = -(-self.n_radial // LANES) * LANES
        self.table = np.zeros((len(r), 2, values.shape[1], lanes))
        self.table[:, 0, :, : self.n_radial] = values
        self.table[:, 1, :, : self.n_radial] = slopes

    def evaluate(self, r):
        """Values and slopes of the spline at distances r, both (points, 1 or max_angular + 1, n)."""
        node = np.minimum((r / self.step).astype(int), len(self.table) - 2)
        t = (r / self.step - node)[:, None, None]
        (left, left_slope), (right, right_slope) = (self.table[at, ..., : self.n_radial].swapaxes(0, 1)
                                                    for at in (node, node + 1))
        u = 1 - t
        values = u * u * ((1 + 2 * t) * left + t * left_slope) + t * t * ((3 - 2 * t) * right - u * right_slope)
        slopes = 6 * t * u * (right - left) + u * (1 - 3 * t) * left_slope + t * (3 * t - 2) * right_slope
        return values, slopes / self.step


def slope(function, r, h=1e-3):
    """Derivative of a smooth function of r ≥ 0 by differences of sixth order that never leave the half line.

    `function` returns arrays whose first axis is the points; the error is about 1e-12 of the sixth derivative's scale.
    """
    r = np.asarray(r, dtype=float)
    centre = np.maximum(r, 3 * h)
    offset = (r - centre) / h  # 0, or down to -3 for the points next to the origin
    nodes = np.arange(-3, 4)
    samples = [function(centre + k * h) for k in nodes]
    total = 0.0
    for a, sample in zip(nodes, samples):
        # Derivative at `offset` of the Lagrange polynomial that is 1 at node a
        others = [b for b in nodes if b != a]
        weight = sum(np.prod([(offset - b) / (a - b) for b in others if b != c], axis=0) / (a - c) for c in others)
        total = total + sample * weight.reshape((-1,) + (1,) * (sample.ndim - 1))
    return total / h


def spherical_bessel(l_max, x):
    """j_l(x) and its derivative, both (l, ...): recursion upwards, stable where x > l, and SciPy's elsewhere."""
    small = x < l_max + 2
    safe = np.where(small, l_max + 2.0, x)
    values = [np.sin(safe) / safe]
    values.append((values[0] - np.cos(safe)) / safe)
    for l in range(1, l_max + 1):
        values.append((2 * l + 1) / safe * values[l] - values[l - 1])
    for l in range(l_max + 2):
        values[l][small] = spherical_jn(l, x[small])
    ratio = 1.0 / np.maximum(x, 1e-12)
    slopes = [l * ratio * values[l] - values[l + 1] for l in range(l_max + 1)]
    if l_max > 0:
        slopes[1] = np.where(x < 1e-12, 1 / 3, slopes[1])
    return np.stack(values[:-1]), np.stack(slopes)


def bessel_transform(basis, max_angular, k):
    """I_nl(k) = ∫ x² R_n(x) j_l(kx) dx and its derivative by k, both (points, max_angular + 1, n)."""
    x, w = quadrature(basis.reach, min(basis.reach, 10.0 / max(np.max(k), 1e-3)))
    weighted = (w * x**2 * basis.functions(x)).T
    values, slopes = spherical_bessel(max_angular, np.multiply.outer(np.asarray(k, dtype=float), x))
    return (values @ weighted).transpose(1, 0, 2), (slopes @ (x[:, None] * weighted)).transpose(1, 0, 2)


def moments(basis, powers):
    """∫ x^power R_n(x) dx for each power, shape (powers, n)."""
    x, w = quadrature(basis.reach)
    return np.array([basis.functions(x) @ (w * x**power) for power in powers])


def product(values, slopes, factor, factor_slope):
    """Values and slopes (points, l, n) of a function times a factor (points,)."""
    factor, factor_slope = factor[:, None, None], factor_slope[:, None, None]
    return values * factor, slopes * factor + values * factor_slope
