"""The smeared power law 1/r^p in real and reciprocal space."""

from dataclasses import dataclass
from math import gamma, log, pi, sqrt

import numpy as np

from ase_lode.errors import ConfigError

#: The largest exponent with a tested transform; 0 means the Gaussian density itself.
MAX_EXPONENT = 6


@dataclass(frozen=True)
class PowerLaw:
    """The potential v_p(r) of a unit source, smeared so that it is smooth at the origin.

    Attributes
    ----------
    exponent : int
        p in 1/r^p, from 1 to 6; 0 means the normalised Gaussian density, which is not a power law.
    width : float
        Width σ of the smearing in Å.

    Notes
    -----
    ========  =======================================  ==========================
    symbol    meaning                                  here
    ========  =======================================  ==========================
    v_p(r)    (2σ²)^(-p/2) P(p/2, x) / x^(p/2)         `value`, x = r²/2σ²
    v̂_p(k)    π^(3/2)/Γ(p/2) (2σ²)^((3-p)/2) E_ν(y)    `transform`, y = σ²k²/2
    ν         (p-1)/2
    ========  =======================================  ==========================

    P is the regularised lower incomplete gamma function and E_ν the generalised exponential integral. For p = 1 they
    are erf(r/√2σ)/r and 4π exp(-y)/k².
    """

    exponent: int
    width: float

    def __post_init__(self):
        if self.exponent not in range(MAX_EXPONENT + 1):
            raise ConfigError(f"Exponent {self.exponent} is not supported; choose one from 0 to {MAX_EXPONENT}.")
        if not self.width > 0:
            raise ConfigError(f"The smearing width must be positive, not {self.width}.")

    def value(self, r):
        """v_p at distances r.

        Parameters
        ----------
        r : array
            Distances in Å.

        Returns
        -------
        array, same shape
            The potential in Å^-p (p = 0: the density in Å^-3/2).
        """
        from scipy.special import gammainc

        x = np.asarray(r, dtype=float) ** 2 / (2 * self.width**2)
        if self.exponent == 0:
            return (pi * self.width**2) ** -0.75 * np.exp(-x)
        half = self.exponent / 2
        # The series of x^-a P(a, x) starts 1/Γ(a+1) - a x/Γ(a+2); below 1e-12 its first term is exact.
        safe = np.maximum(x, 1e-12)
        ratio = np.where(x < 1e-12, 1 / gamma(half + 1), gammainc(half, safe) * safe**-half)
        return (2 * self.width**2) ** -half * ratio

    def transform(self, k2):
        """Fourier transform of v_p and its derivative with respect to k².

        Parameters
        ----------
        k2 : array
            Squared wave vectors in Å⁻².

        Returns
        -------
        value, slope : array, same shape
            v̂_p in Å^(3-p) and dv̂_p/d(k²). At k = 0 the value is the limit for p > 3 and p = 0, and zero for the others
            (a neutralising background); the slope there is zero, since it only ever multiplies k.
        """
        k2 = np.asarray(k2, dtype=float)
        half_square = self.width**2 / 2
        zero = k2 == 0
        y = half_square * np.where(zero, 1.0, k2)
        if self.exponent == 0:
            value = (4 * pi * self.width**2) ** 0.75 * np.exp(-half_square * k2)
            return value, np.where(zero, 0.0, -half_square * value)
        order = (self.exponent - 1) / 2
        decay = np.exp(-y)
        integral = _exponential_integral(self.exponent, y, decay)
        # dE_ν/dy = -E_(ν-1), and E_(ν-1) follows from the recursion read backwards.
        lower = (decay - (order - 1) * integral) / y
        scale = pi**1.5 / gamma(self.exponent / 2) * (4 * half_square) ** ((3 - self.exponent) / 2)
        limit = scale * 2 / (self.exponent - 3) if self.exponent > 3 else 0.0
        return np.where(zero, limit, scale * integral), np.where(zero, 0.0, -scale * half_square * lower)


def background(exponent, width, reference_length=1.0):
    """The constant that makes a fully periodic potential independent of the smearing width.

    Dropping k = 0 leaves out a mean that depends on the width s. The constant b is minus the limit of v̂_point - v̂_s
    for k → 0, so that smooth field + remainder + b Σq/Ω Y_00 (at l = 0) has no s in it. For p = 3 the limit diverges
    as a logarithm and is taken relative to a smearing of `reference_length`.

    Parameters
    ----------
    exponent : int
        p in 1/r^p.
    width : float
        Width s of the smooth field in Å.
    reference_length : float
        Length in Å at which b vanishes for p = 3; unused otherwise.

    Returns
    -------
    float
        b in Å^(3-p): -2πs² for p = 1, -2√2 π^(3/2) s for p = 2, 4π ln(L/s) for p = 3, zero above. Only for systems
        periodic in all three directions.
    """
    if exponent == 1:
        return -2 * pi * width**2
    if exponent == 2:
        return -2 * sqrt(2) * pi**1.5 * width
    if exponent == 3:
        return 4 * pi * log(reference_length / width)
    return 0.0


def _exponential_integral(exponent, y, decay):
    """E_ν(y) for ν = (p-1)/2 by upward recursion E_(ν+1) = (e^-y - y E_ν)/ν from E_0, E_1/2 or E_1."""
    from scipy.special import erfc, exp1

    if exponent == 1:
        return decay / y
    if exponent % 2 == 0:
        order, result = 0.5, np.sqrt(pi / y) * erfc(np.sqrt(y))
    else:
        order, result = 1.0, exp1(y)
    while order < (exponent - 1) / 2:
        result = (decay - y * result) / order
        order += 1
    return result
