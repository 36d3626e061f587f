"""Expansion of neighbours in radial functions and spherical harmonics about every centre, and its adjoint.

Pairs are taken in blocks of 8: harmonics are evaluated for a block at once, radial functions 8 at a time, so that
every innermost loop has a constant length over contiguous data.

Layouts: ``out[i, lm, a * width + n]`` with `width` the number of radial functions padded to a multiple of 8;
``table[node, value or slope x step, l or 0, n]``, a cubic Hermite spline with equidistant nodes from r = 0.
"""

import numpy as np

from ase_lode._loops.compile import loop

BLOCK = 8


@loop
def _harmonics(l_max, norm, unit, legendre, cosines, harmonics):
    """Y_lm of a block of unit vectors, (lm, BLOCK), by the recursions of Legendre functions without (1 - z²)^(m/2)."""
    for p in range(BLOCK):
        legendre[0, p] = 1.0
        cosines[0, p] = 1.0
        cosines[1, p] = 0.0
    for m in range(l_max):
        for p in range(BLOCK):
            cosines[2 * m + 2, p] = unit[0, p] * cosines[2 * m, p] - unit[1, p] * cosines[2 * m + 1, p]
            cosines[2 * m + 3, p] = unit[0, p] * cosines[2 * m + 1, p] + unit[1, p] * cosines[2 * m, p]
    for l in range(1, l_max + 1):
        row = l * (l + 1) // 2
        previous = row - l
        for m in range(l - 1):
            a = (2 * l - 1) / (l - m)
            b = (l + m - 1) / (l - m)
            for p in range(BLOCK):
                legendre[row + m, p] = (a * unit[2, p] * legendre[previous + m, p]
                                        - b * legendre[previous - l + 1 + m, p])
        for p in range(BLOCK):
            legendre[row + l - 1, p] = (2 * l - 1) * unit[2, p] * legendre[previous + l - 1, p]
            legendre[row + l, p] = (2 * l - 1) * legendre[previous + l - 1, p]
    for l in range(l_max + 1):
        row = l * (l + 1) // 2
        for p in range(BLOCK):
            harmonics[l * l + l, p] = norm[row] * legendre[row, p]
        for m in range(1, l + 1):
            for p in range(BLOCK):
                f = norm[row + m] * legendre[row + m, p]
                harmonics[l * l + l + m, p] = f * cosines[2 * m, p]
                harmonics[l * l + l - m, p] = f * cosines[2 * m + 1, p]


@loop
def _harmonic_gradients(l_max, norm, unit, legendre, cosines, gradients):
    """Cartesian derivatives of the solid harmonics r^l Y_lm at unit vectors, (3, lm, BLOCK), after `_harmonics`."""
    for p in range(BLOCK):
        for c in range(3):
            gradients[c, 0, p] = 0.0
    for l in range(1, l_max + 1):
        row = l * (l + 1) // 2
        previous = row - l
        for m in range(l + 1):
            f = norm[row + m]
            for p in range(BLOCK):
                up = 0.0
                if m < l - 1:
                    up = f * legendre[previous + m + 1, p]
                along = 0.0
                if m < l:
                    along = f * (l + m) * legendre[previous + m, p]
                value = f * legendre[row + m, p]
                x = unit[0, p]
                y = unit[1, p]
                q = l * l + l + m
                c = cosines[2 * m, p]
                gradients[2, q, p] = along * c
                if m == 0:
                    gradients[0, q, p] = -up * x
                    gradients[1, q, p] = -up * y
                else:
                    lower_c = m * cosines[2 * m - 2, p] * value
                    lower_s = m * cosines[2 * m - 1, p] * value
                    s = cosines[2 * m + 1, p]
                    gradients[0, q, p] = -up * x * c + lower_c
                    gradients[1, q, p] = -up * y * c - lower_s
                    gradients[0, q - 2 * m, p] = -up * x * s + lower_s
                    gradients[1, q - 2 * m, p] = -up * y * s + lower_c
                    gradients[2, q - 2 * m, p] = along * s


@loop
def expand(start, stop, first, j, vectors, distances, species, table, step, l_max, norm, out):
    """out[i, lm, (a, n)] = Σ_j R_nl(r_ij) Y_lm(r̂_ij) over the neighbours j of species a."""
    width = table.shape[3]
    per_l = table.shape[2] > 1
    unit = np.empty((3, BLOCK))
    legendre = np.empty(((l_max + 1) * (l_max + 2) // 2, BLOCK))
    cosines = np.empty((2 * l_max + 4, BLOCK))
    harmonics = np.empty(((l_max + 1) ** 2, BLOCK))
    radial = np.empty((l_max + 1, width))
    for i in range(start, stop):
        for p0 in range(first[i], first[i + 1], BLOCK):
            count = min(BLOCK, first[i + 1] - p0)
            for b in range(BLOCK):
                p = p0 + min(b, count - 1)
                inverse = 1.0 / distances[p]
                for c in range(3):
                    unit[c, b] = vectors[p, c] * inverse
            _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
            for b in range(count):
                x = distances[p0 + b] / step
                node = min(int(x), table.shape[0] - 2)
                t = x - node
                u = 1.0 - t
                v0 = u * u * (1.0 + 2.0 * t)
                v1 = t * t * (3.0 - 2.0 * t)
                s0 = t * u * u
                s1 = -t * t * u
                for k in range(table.shape[2]):
                    for n0 in range(0, width, BLOCK):
                        for n in range(BLOCK):
                            radial[k, n0 + n] = (v0 * table[node, 0, k, n0 + n] + s0 * table[node, 1, k, n0 + n]
                                                 + v1 * table[node + 1, 0, k, n0 + n]
                                                 + s1 * table[node + 1, 1, k, n0 + n])
                offset = species[j[p0 + b]] * width
                for l in range(l_max + 1):
                    k = l if per_l else 0
                    for lm in range(l * l, (l + 1) * (l + 1)):
                        y = harmonics[lm, b]
                        for n0 in range(0, width, BLOCK):
                            for n in range(BLOCK):
                                out[i, lm, offset + n0 + n] += y * radial[k, n0 + n]


@loop
def pull_back(start, stop, first, j, vectors, distances, species, table, step, l_max, norm, d_out, pair_gradient):
    """pair_gradient[p] += dE/d(r_j - r_i), given d_out = dE/d(out) of `expand`."""
    width = table.shape[3]
    per_l = table.shape[2] > 1
    unit = np.empty((3, BLOCK))
    legendre = np.empty(((l_max + 1) * (l_max + 2) // 2, BLOCK))
    cosines = np.empty((2 * l_max + 4, BLOCK))
    harmonics = np.empty(((l_max + 1) ** 2, BLOCK))
    gradients = np.empty((3, (l_max + 1) ** 2, BLOCK))
    radial = np.empty((l_max + 1, width))
    slope = np.empty((l_max + 1, width))
    sums = np.empty((5, BLOCK))
    for i in range(start, stop):
        for p0 in range(first[i], first[i + 1], BLOCK):
            count = min(BLOCK, first[i + 1] - p0)
            for b in range(BLOCK):
                p = p0 + min(b, count - 1)
                inverse = 1.0 / distances[p]
                for c in range(3):
                    unit[c, b] = vectors[p, c] * inverse
            _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
            _harmonic_gradients(l_max, norm, unit, legendre, cosines, gradients)
            for b in range(count):
                p = p0 + b
                x = distances[p] / step
                node = min(int(x), table.shape[0] - 2)
                t = x - node
                u = 1.0 - t
                v0 = u * u * (1.0 + 2.0 * t)
                v1 = t * t * (3.0 - 2.0 * t)
                s0 = t * u * u
                s1 = -t * t * u
                dv = 6.0 * t * u / step
                ds0 = u * (1.0 - 3.0 * t) / step
                ds1 = t * (3.0 * t - 2.0) / step
                for k in range(table.shape[2]):
                    for n0 in range(0, width, BLOCK):
                        for n in range(BLOCK):
                            left = table[node, 0, k, n0 + n]
                            right = table[node + 1, 0, k, n0 + n]
                            left_slope = table[node, 1, k, n0 + n]
                            right_slope = table[node + 1, 1, k, n0 + n]
                            radial[k, n0 + n] = v0 * left + s0 * left_slope + v1 * right + s1 * right_slope
                            slope[k, n0 + n] = dv * (right - left) + ds0 * left_slope + ds1 * right_slope
                offset = species[j[p]] * width
                for c in range(5):
                    for n in range(BLOCK):
                        sums[c, n] = 0.0
                for l in range(l_max + 1):
                    k = l if per_l else 0
                    for lm in range(l * l, (l + 1) * (l + 1)):
                        y = harmonics[lm, b]
                        gx = gradients[0, lm, b]
                        gy = gradients[1, lm, b]
                        gz = gradients[2, lm, b]
                        ly = l * y
                        for n0 in range(0, width, BLOCK):
                            for n in range(BLOCK):
                                d = d_out[i, lm, offset + n0 + n]
                                g = d * radial[k, n0 + n]
                                sums[0, n] += g * gx
                                sums[1, n] += g * gy
                                sums[2, n] += g * gz
                                sums[3, n] += g * ly
                                sums[4, n] += d * slope[k, n0 + n] * y
                inverse = 1.0 / distances[p]
                tangential = np.zeros(3)
                lost = 0.0
                along = 0.0
                for n in range(BLOCK):
                    for c in range(3):
                        tangential[c] += sums[c, n]
                    lost += sums[3, n]
                    along += sums[4, n]
                along -= lost * inverse
                for c in range(3):
                    pair_gradient[p, c] += tangential[c] * inverse + along * unit[c, b]


@loop
def jacobian(start, stop, vectors, distances, table, step, l_max, norm, n_radial, derivative):
    """derivative[p, c, lm, n] = d(R_nl Y_lm)/d(r_j - r_i)_c of every pair."""
    per_l = table.shape[2] > 1
    unit = np.empty((3, BLOCK))
    legendre = np.empty(((l_max + 1) * (l_max + 2) // 2, BLOCK))
    cosines = np.empty((2 * l_max + 4, BLOCK))
    harmonics = np.empty(((l_max + 1) ** 2, BLOCK))
    gradients = np.empty((3, (l_max + 1) ** 2, BLOCK))
    for p0 in range(start, stop, BLOCK):
        count = min(BLOCK, stop - p0)
        for b in range(BLOCK):
            p = p0 + min(b, count - 1)
            inverse = 1.0 / distances[p]
            for c in range(3):
                unit[c, b] = vectors[p, c] * inverse
        _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
        _harmonic_gradients(l_max, norm, unit, legendre, cosines, gradients)
        for b in range(count):
            p = p0 + b
            x = distances[p] / step
            node = min(int(x), table.shape[0] - 2)
            t = x - node
            u = 1.0 - t
            for l in range(l_max + 1):
                k = l if per_l else 0
                for n in range(n_radial):
                    left = table[node, 0, k, n]
                    right = table[node + 1, 0, k, n]
                    left_slope = table[node, 1, k, n]
                    right_slope = table[node + 1, 1, k, n]
                    value = (u * u * (1.0 + 2.0 * t) * left + t * u * u * left_slope
                             + t * t * (3.0 - 2.0 * t) * right - t * t * u * right_slope) / distances[p]
                    slope = (6.0 * t * u * (right - left) + u * (1.0 - 3.0 * t) * left_slope
                             + t * (3.0 * t - 2.0) * right_slope) / step - l * value
                    for lm in range(l * l, (l + 1) * (l + 1)):
                        for c in range(3):
                            derivative[p, c, lm, n] = (value * gradients[c, lm, b]
                                                       + slope * unit[c, b] * harmonics[lm, b])
