"""The exterior field split in two: its radial functions, and the width and the mesh that meet a tolerance.

[1 - f_c(r)]/r^(p+l) = P(p/2 + l, r²/2s²)/r^(p+l), smooth, on the mesh, plus a remainder over the pairs inside the
reach, less a tail that neither has: what the remainder would be beyond the reach, and inside a cubic that takes it to
zero. P is the regularised lower incomplete gamma function.
"""

from functools import lru_cache
from math import sqrt

import numpy as np
from scipy.special import gamma, gammainc, gammaincc

from ase_lode.field.accuracy import SAFETY, field_size
from ase_lode.radial import shifted_cosine, shifted_cosine_slope

#: Share of the reach over which the tail is brought to zero, so that energies and forces stay continuous.
FADE = 0.1
#: Random charges stay this share of the cutoff away from a centre: atoms do not overlap.
CLOSEST = 0.5


@lru_cache(maxsize=64)
def split(tolerance, exponent, max_angular, cutoff, cutoff_width, reach):
    """Width of the split and tolerance of the mesh, for errors relative to the field of the sources outside.

    Tail and mesh have equal shares of the error; sizes are those of `ase_lode.field.accuracy`.

    Parameters
    ----------
    tolerance : float
        Relative root-mean-square error of the exterior field and of its first derivatives.
    exponent : int
        p in 1/r^p.
    max_angular : int
        Largest l.
    cutoff, cutoff_width : float
        Of the switch f_c, in Å.
    reach : float
        Where the remainder ends, in Å; at least the cutoff.

    Returns
    -------
    width : float
        Width s of the smooth part in Å.
    mesh_tolerance : float
        Relative error that the smooth part may have.
    """
    outside = exterior_size(exponent, max_angular, cutoff, cutoff_width)
    share = tolerance * outside / sqrt(2)
    low, high = reach / 20, reach / 2
    while high - low > 5e-4 * reach:
        width = (low + high) / 2
        tail_size = _size(lambda r, s=width: tail(r, max_angular, exponent, s, reach), max_angular,
                          [reach * (1 - FADE), reach, reach + 30 * width**2 / reach])
        low, high = (width, high) if SAFETY * tail_size < share else (low, width)
    smooth_size = field_size(exponent, max_angular) * low ** (0.5 - exponent - max_angular)
    return low, min(share / smooth_size, tolerance)


def exterior_size(exponent, degree, cutoff, cutoff_width):
    """Size of the gradient of the field of random charges outside: √(∫ |∇V_lm|² d³r), averaged over m, in Å."""
    power = exponent + degree
    start = max(cutoff - cutoff_width, CLOSEST * cutoff)
    shell = _size(lambda r: switched(r, power, cutoff, cutoff_width), degree, [start, cutoff])
    return sqrt(shell**2 + (power**2 + degree * (degree + 1)) * cutoff ** (1 - 2 * power) / (2 * power - 1))


def _size(function, degree, edges):
    """√(∫ (f'² + l(l+1) f²/r²) r² dr) between the edges, for f(r) Y_lm."""
    points, weights = np.polynomial.legendre.leggauss(48)
    total = 0.0
    for start, end in zip(edges[:-1], edges[1:]):
        r = start + (end - start) / 2 * (1 + points)
        value, slope = function(r)
        total += (end - start) / 2 * np.sum(weights * ((r * slope) ** 2 + degree * (degree + 1) * value**2))
    return sqrt(total)


def switched(r, power, cutoff, cutoff_width):
    """[1 - f_c(r)]/r^power, what the field is made of, and its slope."""
    value = (1.0 - shifted_cosine(r, cutoff, cutoff_width)) / r**power
    return value, -shifted_cosine_slope(r, cutoff, cutoff_width) / r**power - power * value / r


def smooth(r, l, exponent, width):
    """P(p/2 + l, r²/2s²)/r^(p+l), the field of a smeared source, and its slope."""
    power, order, x = exponent + l, exponent / 2 + l, r**2 / (2 * width**2)
    value = gammainc(order, x) / r**power
    return value, x ** (order - 1) * np.exp(-x) / gamma(order) * r ** (1 - power) / width**2 - power * value / r


def tail(r, l, exponent, width, reach):
    """What is left out, and its slope: Q/r^(p+l) beyond the reach, Q = 1 - P, and inside the cubic that takes over."""
    start = (1 - FADE) * reach
    beyond = np.maximum(r, reach)
    value, slope = _rest(beyond, l, exponent, width)
    t, span = np.clip((r - start) / (reach - start), 0.0, 1.0), reach - start
    inside = t**2 * ((3 - 2 * t) * value - (1 - t) * span * slope)
    inside_slope = t * (6 * (1 - t) / span * value - (2 - 3 * t) * slope)
    return np.where(r < reach, inside, value), np.where(r < reach, inside_slope, slope)


def _rest(r, l, exponent, width):
    """Q(p/2 + l, r²/2s²)/r^(p+l) and its slope."""
    power, order, x = exponent + l, exponent / 2 + l, r**2 / (2 * width**2)
    value = gammaincc(order, x) / r**power
    return value, -(x ** (order - 1) * np.exp(-x) / gamma(order) * r ** (1 - power) / width**2 + power * value / r)
