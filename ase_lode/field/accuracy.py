"""From one tolerance to the parameters of the split and of the particle mesh."""

from functools import lru_cache
from math import pi, sqrt

import numpy as np

from ase_lode.errors import ConfigError
from ase_lode.field.power_law import PowerLaw

#: The estimate holds for dense random charges in an orthogonal cell. An atom's own interpolated field adds up to a
#: factor of 2.5 at the density of water, and without its near sources the field is up to three times smaller.
SAFETY = 8.0

#: Wave number in units of 1/s below which a neutral liquid has little field; leaving smaller ones out of the field's
#: size keeps the relative error honest there.
SCREENED = 0.8

#: Time of one grid point (transforms and products) in units of one point of a stencil (all spreading and reading).
GRID_COST = 6.0

#: Atoms per s³ assumed in the trade between grid and stencil: water at s = 0.9 Å.
DENSITY = 0.07


@lru_cache(maxsize=64)
def choose(tolerance, exponent, max_angular):
    """Range, mesh spacing and spline order for a tolerance.

    Parameters
    ----------
    tolerance : float
        Relative root-mean-square error of the smooth field and of its first derivatives, 1e-9 to 1e-2.
    exponent : int
        p in 1/r^p.
    max_angular : int
        Largest l.

    Returns
    -------
    reach : float
        Range of the real-space remainder in units of the width s: Q(p/2 + l, reach²/2) is the tolerance.
    spacing : float
        Spacing of the mesh in units of s.
    order : int
        Even order of the B-splines, the cheapest for atoms as dense as in water.
    """
    if not 1e-9 <= tolerance <= 1e-2:
        raise ConfigError(f"The tolerance {tolerance} is out of range; choose one from 1e-9 to 1e-2.")
    lowest = max_angular + 4 + max_angular % 2
    best = None
    for order in range(lowest, max(lowest, 14) + 1, 2):
        low, high = 0.1, 1.0
        while high - low > 1e-3:
            middle = (low + high) / 2
            accurate = SAFETY * mesh_error(exponent, max_angular + 1, order, middle) < tolerance
            low, high = (middle, high) if accurate else (low, middle)
        cost = GRID_COST / low**3 + DENSITY * order**3
        if best is None or cost < best[0]:
            best = cost, low, order
    return reach(tolerance, exponent, max_angular), best[1], best[2]


def reach(tolerance, exponent, max_angular):
    """Distance in units of s beyond which the remainder of every l is below the tolerance, relative to 1/r^(p+l)."""
    from scipy.special import gammainccinv

    return sqrt(2 * gammainccinv(exponent / 2 + max_angular, tolerance))


def mesh_error(exponent, degree, order, spacing):
    """Estimated relative root-mean-square error of derivatives of the mesh potential of random charges.

    A wave k also arrives as its alias k - K e_x, K = 2π/h, with the weight (k_x/(k_x - K))^P: once when it is spread
    and, with the alias' own derivative, once when it is read. Its transform v̂(k) is cut off long before other aliases
    matter.

    Parameters
    ----------
    exponent : int
        p in 1/r^p.
    degree : int
        Order of the derivatives, from 1.
    order : int
        Order of the B-splines.
    spacing : float
        Spacing h in units of the width s.

    Returns
    -------
    float
    """
    points, weights = np.polynomial.legendre.leggauss(48)
    alias = 2 * pi / spacing
    along, across = alias / 2 * points[:, None], 4 * (1 + points)
    measure = 4 * pi * alias * np.outer(weights, weights * across)
    power = _power(exponent, along**2 + across**2) * measure
    turned = (along - alias) ** 2 + across**2
    leak = (along / (along - alias)) ** (2 * order)
    error = 6 * np.sum(power * leak * (turned**degree + (along**2 + across**2) ** degree))
    radius = SCREENED + 5 * (1 + points)
    total = 4 * pi * np.sum(5 * weights * radius ** (2 + 2 * degree) * _power(exponent, radius**2))
    return sqrt(error / total)


def _power(exponent, k2):
    return PowerLaw(exponent, 1.0).transform(k2)[0] ** 2
