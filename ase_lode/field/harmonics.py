"""Solid harmonics as polynomials, so that 𝒴_lm(∇) is a matrix acting on Cartesian derivatives."""

from functools import cache
from math import comb, factorial, pi, sqrt

import numpy as np


@cache
def monomials(max_degree):
    """Powers of x, y, z up to a degree, lower degrees first.

    Parameters
    ----------
    max_degree : int
        Largest total degree.

    Returns
    -------
    array of int, shape (monomials, 3)
    """
    result = np.array([(x, y, degree - x - y) for degree in range(max_degree + 1)
                       for x in range(degree, -1, -1) for y in range(degree - x, -1, -1)], dtype=np.int64)
    result.flags.writeable = False
    return result


@cache
def places(max_degree):
    """Row of each monomial: an array (max_degree+1, max_degree+1, max_degree+1), -1 above the degree."""
    result = np.full((max_degree + 1,) * 3, -1, dtype=np.int64)
    for row, (x, y, z) in enumerate(monomials(max_degree)):
        result[x, y, z] = row
    result.flags.writeable = False
    return result


@cache
def solid_harmonics(max_angular):
    """Coefficients of the real solid harmonics r^l Y_lm over monomials.

    Unit-normalised on the sphere, no Condon-Shortley sign, m = -l..l with sin(|m|φ) for m < 0.

    Parameters
    ----------
    max_angular : int
        Largest l.

    Returns
    -------
    array, shape ((max_angular+1)², monomials)
        Rows at l² + l + m.
    """
    place = places(max_angular)
    result = np.zeros(((max_angular + 1) ** 2, len(monomials(max_angular))))
    for degree in range(max_angular + 1):
        for order in range(degree + 1):
            norm = sqrt((2 * degree + 1) / (4 * pi) * (1 if order == 0 else 2)
                        * factorial(degree - order) / factorial(degree + order))
            for (x, y, z), value in _axial(degree, order).items():
                # (x + iy)^m: even powers of y make the cosine, odd ones the sine.
                for power in range(order + 1):
                    sign = (-1) ** (power // 2) * comb(order, power)
                    row = degree * degree + degree + (order if power % 2 == 0 else -order)
                    result[row, place[x + order - power, y + power, z]] += norm * sign * value
    result.flags.writeable = False
    return result


def _axial(degree, order):
    """The factor Π_lm(z, r²) of a solid harmonic as a mapping of powers to coefficients."""
    result = {}
    for k in range((degree - order) // 2 + 1):
        factor = ((-1) ** k * comb(degree, k) * comb(2 * degree - 2 * k, degree) / 2**degree
                  * factorial(degree - 2 * k) / factorial(degree - 2 * k - order))
        for a in range(k + 1):
            for b in range(k - a + 1):
                powers = (2 * a, 2 * b, degree - 2 * k - order + 2 * (k - a - b))
                multiplicity = factorial(k) // (factorial(a) * factorial(b) * factorial(k - a - b))
                result[powers] = result.get(powers, 0.0) + factor * multiplicity
    return result


def degrees(max_angular):
    """l of every flat index l² + l + m, shape ((max_angular+1)²,)."""
    return np.repeat(np.arange(max_angular + 1), 2 * np.arange(max_angular + 1) + 1)


def hobson(exponent, max_angular):
    """The factor 2^l (p/2)_l of Hobson's theorem for every flat index; (2l-1)!! for p = 1."""
    factors = np.cumprod([1.0] + [exponent + 2 * degree for degree in range(max_angular)])
    return factors[degrees(max_angular)]


def substitution(matrix, max_degree):
    """Matrix that expresses monomials of w = matrix @ u in those of u.

    Parameters
    ----------
    matrix : array, shape (3, 3)
        Linear map; for derivatives, ∂_c = Σ_d matrix[c, d] ∂_u_d.
    max_degree : int
        Largest total degree.

    Returns
    -------
    array, shape (monomials, monomials)
    """
    powers, place = monomials(max_degree), places(max_degree)
    result = np.zeros((len(powers), len(powers)))
    result[0, 0] = 1.0
    for row in range(1, len(powers)):
        c = int(np.argmax(powers[row] > 0))
        lower = result[place[tuple(powers[row] - np.eye(3, dtype=int)[c])]]
        for column in np.flatnonzero(lower):
            x, y, z = powers[column]
            targets = [place[x + 1, y, z], place[x, y + 1, z], place[x, y, z + 1]]
            result[row, targets] += matrix[c] * lower[column]
    return result


@cache
def raised(max_degree):
    """Row, among monomials of degree max_degree + 1, of each monomial times x, y or z: shape (monomials, 3)."""
    place = places(max_degree + 1)
    return np.array([[place[tuple(power + step)] for step in np.eye(3, dtype=int)]
                     for power in monomials(max_degree)], dtype=np.int64)


@cache
def exchanged(max_degree):
    """Terms u_b ∂/∂u_a of monomials: tensor (monomials, 3 (a), 3 (b), monomials) of the powers they bring down."""
    powers, place = monomials(max_degree), places(max_degree)
    steps = np.eye(3, dtype=int)
    result = np.zeros((len(powers), 3, 3, len(powers)))
    for row, power in enumerate(powers):
        for a in np.flatnonzero(power):
            for b in range(3):
                result[row, a, b, place[tuple(power - steps[a] + steps[b])]] = power[a]
    return result


def evaluate(max_angular, vectors):
    """Solid harmonics and their gradients.

    Parameters
    ----------
    max_angular : int
        Largest l.
    vectors : array, shape (vectors, 3)

    Returns
    -------
    values : array, shape (vectors, (max_angular+1)²)
    gradients : array, shape (vectors, (max_angular+1)², 3)
    """
    powers, coefficients = monomials(max_angular), solid_harmonics(max_angular)
    table = vectors[:, None, :] ** np.arange(max_angular + 1)[None, :, None]  # [vector, power, c]
    terms = np.prod([table[:, powers[:, c], c] for c in range(3)], axis=0)
    gradients = np.empty((len(vectors), len(coefficients), 3))
    place = places(max_angular)
    for c in range(3):
        rows = np.flatnonzero(powers[:, c])
        lower = [place[tuple(powers[row] - np.eye(3, dtype=int)[c])] for row in rows]
        gradients[:, :, c] = (terms[:, lower] * powers[rows, c]) @ coefficients[:, rows].T
    return terms @ coefficients.T, gradients


@cache
def derivative_terms(max_angular):
    """∂_c 𝒴_lm as a sparse combination of harmonics of degree l - 1.

    Returns
    -------
    indices : array of int, shape (terms, 3)
        Flat index of the harmonic, direction c, flat index of the lower harmonic.
    values : array, shape (terms,)
        Coefficients.
    """
    powers, place = monomials(max_angular), places(max_angular)
    coefficients = solid_harmonics(max_angular)
    gradients = np.zeros((3, *coefficients.shape))
    for c, step in enumerate(np.eye(3, dtype=int)):
        for row in np.flatnonzero(powers[:, c]):
            gradients[c][:, place[tuple(powers[row] - step)]] += powers[row, c] * coefficients[:, row]
    # Gradients of solid harmonics are solid harmonics again, so the least-squares solution is exact.
    inverse = np.linalg.pinv(coefficients.T)
    matrix = np.stack([inverse @ gradient.T for gradient in gradients], axis=-1)  # [lower, upper, c]
    upper, c, lower = np.nonzero(np.abs(matrix.transpose(1, 2, 0)) > 1e-9)
    return np.column_stack([upper, c, lower]).astype(np.int64), matrix[lower, upper, c]
