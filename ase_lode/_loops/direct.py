"""Far field of an isolated system as a plain sum over pairs, gathered by centre, with its adjoint."""

import math

import numpy as np

from ase_lode._loops.compile import inlined, loop


@inlined
def _harmonics(x, y, z, square, norms, axial, out):
    """Solid harmonics out[lm, j] of the vectors (x, y, z)[j]; `axial` is scratch of shape (l_max+1, j)."""
    n_angular = axial.shape[0]
    n = len(x)
    cosine, sine = np.ones(n), np.zeros(n)
    for m in range(n_angular):
        for degree in range(m, n_angular):
            if degree == m:
                for j in range(n):
                    axial[degree, j] = 1.0
            elif degree == m + 1:
                for j in range(n):
                    axial[degree, j] = (2 * m + 1) * z[j]
            else:
                first, second = (2.0 * degree - 1) / (degree - m), (degree + m - 1.0) / (degree - m)
                for j in range(n):
                    axial[degree, j] = first * z[j] * axial[degree - 1, j] - second * square[j] * axial[degree - 2, j]
            norm = norms[degree, m]
            row = degree * degree + degree
            for j in range(n):
                out[row + m, j] = norm * axial[degree, j] * cosine[j]
            if m > 0:
                for j in range(n):
                    out[row - m, j] = norm * axial[degree, j] * sine[j]
        for j in range(n):
            c = cosine[j]
            cosine[j] = x[j] * c - y[j] * sine[j]
            sine[j] = x[j] * sine[j] + y[j] * c


@inlined
def _smooth_radial(i, square, exponent, width, _unused, inverse_gammas, values, slopes):
    """F_l = (2s²)^-a γ*(a, x), a = p/2 + l, and F_l'/r; γ*(a, x) = x^-a P(a, x) is entire.

    `inverse_gammas[l]` is 1/Γ(p/2 + l + 1), up to l_max + 2.
    """
    n_angular = values.shape[0]
    scale = 1 / (2 * width * width)
    top = exponent / 2 + n_angular
    star = np.empty(n_angular + 1)
    steps = 1 / (top + np.arange(1.0, 65.0))
    for j in range(len(square)):
        x = square[j] * scale
        decay = math.exp(-x)
        if x < top + 3:
            # Series at the highest order, then downward recursion: all terms positive.
            term = inverse_gammas[n_angular]
            total = term
            for step in steps:
                term *= x * step
                total += term
                if term < 1e-17 * total:
                    break
            star[n_angular] = decay * total
            for degree in range(n_angular - 1, -1, -1):
                star[degree] = x * star[degree + 1] + decay * inverse_gammas[degree]
        else:
            # Upward from E_1/2 or E_1 of the complement; x exceeds every order, so little cancels.
            a = 0.5 if exponent % 2 else 1.0
            value = math.erf(math.sqrt(x)) / math.sqrt(x) if exponent % 2 else -math.expm1(-x) / x
            inverse = 2 / math.sqrt(math.pi) if exponent % 2 else 1.0
            while a < exponent / 2 - 0.25:
                value = (value - decay * inverse) / x
                a += 1
                inverse /= a
            star[0] = value
            for degree in range(n_angular):
                star[degree + 1] = (star[degree] - decay * inverse_gammas[degree]) / x
        factor = scale ** (exponent / 2)
        for degree in range(n_angular):
            values[degree, j] = factor * star[degree]
            factor *= scale
            slopes[degree, j] = -2 * (exponent / 2 + degree) * factor * star[degree + 1]


@inlined
def _exterior_radial(i, square, exponent, cutoff, cutoff_width, _unused, values, slopes):
    """F_l = (1 - f_c)/r^(p+2l) and F_l'/r, zero for the atom itself."""
    n_angular = values.shape[0]
    inner = (cutoff - cutoff_width) ** 2
    outer = cutoff * cutoff
    n = len(square)
    for j in range(n):
        power = 1 / square[j] if j != i else 0.0
        first = math.sqrt(power) if exponent % 2 else 1.0
        for _ in range(exponent // 2):
            first *= power
        for degree in range(n_angular):
            values[degree, j] = first
            slopes[degree, j] = -(exponent + 2 * degree) * first * power
            first *= power
    for j in range(n):
        if square[j] < inner or (square[j] == inner and cutoff_width > 0):
            for degree in range(n_angular):
                values[degree, j] = 0.0
                slopes[degree, j] = 0.0
        elif square[j] < outer:
            r = math.sqrt(square[j])
            phase = math.pi * (r - cutoff + cutoff_width) / cutoff_width
            switch = 0.5 - 0.5 * math.cos(phase)
            change = 0.5 * math.pi / cutoff_width * math.sin(phase) / r
            for degree in range(n_angular):
                slopes[degree, j] = slopes[degree, j] * switch + values[degree, j] * change
                values[degree, j] *= switch


@inlined
def _displacements(i, positions, x, y, z, square):
    for j in range(len(x)):
        x[j] = positions[0, j] - positions[0, i]
        y[j] = positions[1, j] - positions[1, i]
        z[j] = positions[2, j] - positions[2, i]
        square[j] = x[j] * x[j] + y[j] * y[j] + z[j] * z[j]


@loop
def fields(start, stop, positions, strengths, exponent, length, switch, constants, exterior, norms, out):
    """Fields Φ of the centres in a range.

    Parameters
    ----------
    positions : array, shape (3, atoms)
    strengths : array, shape (channels, atoms)
    exponent : int
    length, switch : float
        The width of the smearing, or the cutoff and its switching width.
    constants : array
        1/Γ(p/2 + l + 1); unused outside the smooth field.
    exterior : bool
        Whether near sources are switched off instead of smeared.
    norms : array, shape (l_max+1, l_max+1)
        Factors of the harmonics.
    out : array, shape (atoms, channels, (l_max+1)²)
    """
    n, n_angular = positions.shape[1], norms.shape[0]
    x, y, z, square, product = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    harmonics, axial = np.empty((n_angular * n_angular, n)), np.empty((n_angular, n))
    values, slopes = np.empty((n_angular, n)), np.empty((n_angular, n))
    for i in range(start, stop):
        _displacements(i, positions, x, y, z, square)
        if exterior:
            _exterior_radial(i, square, exponent, length, switch, constants, values, slopes)
        else:
            _smooth_radial(i, square, exponent, length, switch, constants, values, slopes)
        _harmonics(x, y, z, square, norms, axial, harmonics)
        for a in range(len(strengths)):
            for degree in range(n_angular):
                for j in range(n):
                    product[j] = strengths[a, j] * values[degree, j]
                for row in range(degree * degree, (degree + 1) * (degree + 1)):
                    total = 0.0
                    for j in range(n):
                        total += product[j] * harmonics[row, j]
                    out[i, a, row] = total


@loop
def adjoint(start, stop, positions, strengths, weights, exponent, length, switch, constants, exterior, norms, terms,
            coefficients, d_positions, d_strengths):
    """Gradient with respect to the atoms in a range, each as a centre and as a source.

    A pair contributes Σ_lm c_lm F_l 𝒴_lm(r_ij) with c_lm = Σ_a q_ja w_i,alm + (-1)^l q_ia w_j,alm.

    Parameters
    ----------
    weights : array, shape (channels, (l_max+1)², atoms)
        dE/dΦ.
    terms, coefficients : array, shapes (terms, 3) and (terms,)
        ∂_c 𝒴_lm as combinations of lower harmonics.
    d_positions : array, shape (atoms, 3)
    d_strengths : array, shape (atoms, channels)
    """
    n, n_angular = positions.shape[1], norms.shape[0]
    x, y, z, square, pull = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    harmonics, axial = np.empty((n_angular * n_angular, n)), np.empty((n_angular, n))
    values, slopes = np.empty((n_angular, n)), np.empty((n_angular, n))
    combined = np.empty((n_angular * n_angular, n))
    for i in range(start, stop):
        _displacements(i, positions, x, y, z, square)
        if exterior:
            _exterior_radial(i, square, exponent, length, switch, constants, values, slopes)
        else:
            _smooth_radial(i, square, exponent, length, switch, constants, values, slopes)
        _harmonics(x, y, z, square, norms, axial, harmonics)
        combined[:] = 0.0
        for a in range(len(strengths)):
            total = 0.0
            own = strengths[a, i]
            for degree in range(n_angular):
                sign = -1.0 if degree % 2 else 1.0
                for row in range(degree * degree, (degree + 1) * (degree + 1)):
                    here = weights[a, row, i]
                    for j in range(n):
                        there = sign * weights[a, row, j]
                        total += there * values[degree, j] * harmonics[row, j]
                        combined[row, j] += strengths[a, j] * here + own * there
            d_strengths[i, a] = total
        gradient_x, gradient_y, gradient_z = 0.0, 0.0, 0.0
        pull[:] = 0.0
        for degree in range(n_angular):
            for row in range(degree * degree, (degree + 1) * (degree + 1)):
                for j in range(n):
                    pull[j] += slopes[degree, j] * combined[row, j] * harmonics[row, j]
        for j in range(n):
            gradient_x -= pull[j] * x[j]
            gradient_y -= pull[j] * y[j]
            gradient_z -= pull[j] * z[j]
        for term in range(len(coefficients)):
            row, c, lower = terms[term]
            degree = int(math.sqrt(row))
            total = 0.0
            for j in range(n):
                total += values[degree, j] * combined[row, j] * harmonics[lower, j]
            total *= coefficients[term]
            if c == 0:
                gradient_x -= total
            elif c == 1:
                gradient_y -= total
            else:
                gradient_z -= total
        d_positions[i, 0] = gradient_x
        d_positions[i, 1] = gradient_y
        d_positions[i, 2] = gradient_z
