"""From one tolerance to the spacing and the splines of the particle mesh.

Errors and fields are compared by the mean square of the gradient of V_lm that random charges make, per unit of their
density: what forces see. A gradient acts on centre and source alike, so pairs count twice. The error that an atom makes
in its own field, through its own interpolated charge, counts once and wins where atoms are sparse.
"""

from functools import cache, lru_cache
from math import pi, sqrt

import numpy as np

from ase_lode.errors import ConfigError
from ase_lode.field.harmonics import hobson
from ase_lode.field.power_law import PowerLaw

#: The estimates hold for random charges in an orthogonal cell. In liquids and salts the charges screen each other,
#: which makes their field up to 2.4 times smaller; skewed cells err up to twice as much.
SAFETY = 2.5

#: Wave number in units of 1/s below which a neutral liquid has little field; leaving smaller ones out of the field's
#: size keeps the relative error honest there.
SCREENED = 0.8

#: Time of one grid point (transforms and products) in units of one point of a stencil (all spreading and reading).
GRID_COST = 6.0

#: Atoms per Å³ of water.
DENSITY = 0.1


@lru_cache(maxsize=64)
def choose(tolerance, exponent, max_angular, width, density=DENSITY):
    """Range, mesh spacing and spline order for a tolerance.

    Parameters
    ----------
    tolerance : float
        Relative root-mean-square error of the smooth field and of its first derivatives, 1e-13 to 1e-2.
    exponent : int
        p in 1/r^p.
    max_angular : int
        Largest l.
    width : float
        Width s of the smearing in Å.
    density : float
        Atoms per Å³: weighs stencils against the grid, and an atom's own error against that of the others.

    Returns
    -------
    reach : float
        Range of the real-space remainder in units of the width s: Q(p/2 + l, reach²/2) is the tolerance.
    spacing : float
        Spacing of the mesh in units of s.
    order : int
        Even order of the B-splines, the cheapest for that density.
    """
    if not 1e-13 <= tolerance <= 1e-2:
        raise ConfigError(f"The tolerance {tolerance} of the mesh is out of range; choose one from 1e-9 to 1e-2.")
    lowest, density = max_angular + 4 + max_angular % 2, density * width**3
    size = field_size(exponent, max_angular)
    best = None
    for order in range(lowest, max(lowest, 16) + 1, 2):
        low, high = 0.1, 1.0
        while high - low > 4e-3:
            middle = (low + high) / 2
            accurate = SAFETY * mesh_error(exponent, max_angular, order, middle, density) < tolerance * size
            low, high = (middle, high) if accurate else (low, middle)
        cost = GRID_COST / low**3 + density * order**3
        if best is None or cost < best[0]:
            best = cost, low, order
    return reach(tolerance, exponent, max_angular), best[1], best[2]


def reach(tolerance, exponent, max_angular):
    """Distance in units of s beyond which the remainder of every l is below the tolerance, relative to 1/r^(p+l)."""
    from scipy.special import gammainccinv

    return sqrt(2 * gammainccinv(exponent / 2 + max_angular, tolerance))


def field_size(exponent, degree):
    """Size of the gradient of the smooth field of random charges, in units of the width s.

    Parameters
    ----------
    exponent : int
        p in 1/r^p.
    degree : int
        l.

    Returns
    -------
    float
        √(∫ |∇Φ_lm|² d³r), averaged over m.
    """
    points, weights = _legendre()
    k = SCREENED + 5 * (1 + points)
    power = np.sum(5 * weights * 4 * pi * k ** (4 + 2 * degree) * PowerLaw(exponent, 1.0).transform(k**2)[0] ** 2)
    return sqrt(power / _scale(exponent, degree))


def mesh_error(exponent, degree, order, spacing, density):
    """Estimated error of the mesh in the same terms as `field_size`.

    A wave k also arrives as its alias k - K e_x, K = 2π/h, with the weight (k_x/(k_x - K))^P: once when it is spread
    and, with the alias' own derivative, once when it is read. Its transform v̂(k) is cut off long before other aliases
    matter. All waves of one atom add up coherently at its own place; its own error varies with the place as e^(iKx).

    Parameters
    ----------
    exponent : int
        p in 1/r^p.
    degree : int
        l.
    order : int
        Order P of the B-splines.
    spacing : float
        Spacing h in units of the width s.
    density : float
        Atoms per s³.

    Returns
    -------
    float
    """
    from scipy.special import eval_legendre

    points, weights = _legendre()
    alias = 2 * pi / spacing
    along, across = alias / 2 * points[:, None], 4 * (1 + points)
    measure = 4 * pi * alias * np.outer(weights, weights * across)
    k, turned = np.hypot(along, across), np.hypot(along - alias, across)
    leaked = PowerLaw(exponent, 1.0).transform(k**2)[0] * (along / (along - alias)) ** order
    others = 6 * np.sum(measure * leaked**2 * (k ** (2 * degree + 2) + turned ** (2 * degree + 2)))
    waves = (k**degree * eval_legendre(degree, along / k)
             + (-turned) ** degree * eval_legendre(degree, (along - alias) / turned))
    own = 6 * (alias * np.sum(measure * leaked * waves)) ** 2 / (2 * pi) ** 3
    return sqrt((others + own / (2 * density)) / _scale(exponent, degree))


@cache
def _legendre():
    return np.polynomial.legendre.leggauss(48)


def _scale(exponent, degree):
    """From ∫ |v̂(k)|² k^(2l+2) d³k to the field: (2π)³, and 1/4π 1/(2^l (p/2)_l)² for the mean over m of Y_lm."""
    return (2 * pi) ** 3 * 4 * pi * hobson(exponent, degree)[-1] ** 2
