"""Expansion of neighbours in radial functions and spherical harmonics about every centre, and its adjoint.

The neighbours of a centre are sorted by species and taken in blocks of 8 of one species: harmonics, and what is
pulled back, are vectors over the pairs of a block; radial functions are vectors over n, 8 at a time.

Layouts: ``out[i, lm, a * width + n]`` with `width` the number of radial functions padded to a multiple of 8;
``table[node, value or slope x step, l or 0, n]``, a cubic Hermite spline with equidistant nodes from r = 0.
"""

import numpy as np

from ase_lode._loops.compile import LANES, gather, inlined, load, loop, splat, store, total


@inlined
def _workspace(l_max):
    """Arrays for a block of pairs: unit vectors, inverse distances, and what the harmonics take."""
    return (np.empty((3, LANES)), np.empty(LANES), np.empty(((l_max + 1) * (l_max + 2) // 2, LANES)),
            np.empty((2 * l_max + 2, LANES)), np.empty(((l_max + 1) ** 2, LANES)))


@inlined
def _block(p0, stop, j, vectors, distances, species, unit, inverse):
    """Unit vectors of up to 8 pairs of one species from p0 on, the last repeated to fill the block; their number."""
    count = 1
    while count < LANES and p0 + count < stop and species[j[p0 + count]] == species[j[p0]]:
        count += 1
    for b in range(LANES):
        p = p0 + min(b, count - 1)
        inverse[b] = 1.0 / distances[p]
        for c in range(3):
            unit[c, b] = vectors[p, c] * inverse[b]
    return count


@inlined
def _harmonics(l_max, norm, unit, legendre, cosines, harmonics):
    """Y_lm of a block of unit vectors, (lm, 8), by the recursions of Legendre functions without (1 - z²)^(m/2)."""
    x, y, z = load(unit, (0, 0)), load(unit, (1, 0)), load(unit, (2, 0))
    store(legendre, (0, 0), splat(1.0))
    store(cosines, (0, 0), splat(1.0))
    store(cosines, (1, 0), splat(0.0))
    for m in range(l_max):
        cosine, sine = load(cosines, (2 * m, 0)), load(cosines, (2 * m + 1, 0))
        store(cosines, (2 * m + 2, 0), x * cosine - y * sine)
        store(cosines, (2 * m + 3, 0), x * sine + y * cosine)
    for l in range(1, l_max + 1):
        row = l * (l + 1) // 2
        previous = row - l
        for m in range(l - 1):
            a, b = (2 * l - 1) / (l - m), (l + m - 1) / (l - m)
            value = z * load(legendre, (previous + m, 0)) * a - load(legendre, (previous - l + 1 + m, 0)) * b
            store(legendre, (row + m, 0), value)
        highest = load(legendre, (previous + l - 1, 0)) * (2.0 * l - 1.0)
        store(legendre, (row + l - 1, 0), z * highest)
        store(legendre, (row + l, 0), highest)
    for l in range(l_max + 1):
        row = l * (l + 1) // 2
        middle = l * l + l
        store(harmonics, (middle, 0), load(legendre, (row, 0)) * norm[row])
        for m in range(1, l + 1):
            value = load(legendre, (row + m, 0)) * norm[row + m]
            store(harmonics, (middle + m, 0), value * load(cosines, (2 * m, 0)))
            store(harmonics, (middle - m, 0), value * load(cosines, (2 * m + 1, 0)))


@inlined
def _harmonic_gradients(l_max, norm, unit, legendre, cosines, gradients):
    """Cartesian derivatives of the solid harmonics r^l Y_lm at unit vectors, (3, lm, 8), after `_harmonics`."""
    x, y = load(unit, (0, 0)), load(unit, (1, 0))
    for c in range(3):
        store(gradients, (c, 0, 0), splat(0.0))
    for l in range(1, l_max + 1):
        row = l * (l + 1) // 2
        previous = row - l
        middle = l * l + l
        for m in range(l + 1):
            f = norm[row + m]
            up = load(legendre, (previous + m + 1, 0)) * f if m < l - 1 else splat(0.0)
            along = load(legendre, (previous + m, 0)) * (f * (l + m)) if m < l else splat(0.0)
            if m == 0:
                store(gradients, (0, middle, 0), up * x * -1.0)
                store(gradients, (1, middle, 0), up * y * -1.0)
                store(gradients, (2, middle, 0), along)
                continue
            cosine, sine = load(cosines, (2 * m, 0)), load(cosines, (2 * m + 1, 0))
            value = load(legendre, (row + m, 0)) * (f * m)
            lower_cosine = value * load(cosines, (2 * m - 2, 0))
            lower_sine = value * load(cosines, (2 * m - 1, 0))
            store(gradients, (0, middle + m, 0), lower_cosine - up * x * cosine)
            store(gradients, (1, middle + m, 0), splat(0.0) - lower_sine - up * y * cosine)
            store(gradients, (2, middle + m, 0), along * cosine)
            store(gradients, (0, middle - m, 0), lower_sine - up * x * sine)
            store(gradients, (1, middle - m, 0), lower_cosine - up * y * sine)
            store(gradients, (2, middle - m, 0), along * sine)


@inlined
def _radial(p, count, distances, table, step, rows):
    """rows[0] the radial functions of a block, rows[1] their slopes, [l or 0, pair, n]; zero where no pair."""
    for b in range(LANES):
        x = distances[p + min(b, count - 1)] / step
        node = min(int(x), table.shape[0] - 2)
        t = x - node
        u = 1.0 - t
        v0, v1, s0, s1 = u * u * (1.0 + 2.0 * t), t * t * (3.0 - 2.0 * t), t * u * u, -t * t * u
        dv, d0, d1 = 6.0 * t * u / step, u * (1.0 - 3.0 * t) / step, t * (3.0 * t - 2.0) / step
        if b >= count:
            v0, v1, s0, s1, dv, d0, d1 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(table.shape[2]):
            for n in range(0, table.shape[3], LANES):
                left, right = load(table, (node, 0, k, n)), load(table, (node + 1, 0, k, n))
                left_slope, right_slope = load(table, (node, 1, k, n)), load(table, (node + 1, 1, k, n))
                store(rows, (0, k, b, n), left * v0 + left_slope * s0 + right * v1 + right_slope * s1)
                if rows.shape[0] > 1:
                    store(rows, (1, k, b, n), (right - left) * dv + left_slope * d0 + right_slope * d1)


@inlined
def _turn(rows, radial):
    """The same as vectors over the pairs, radial[value or slope, l or 0, n]."""
    for v in range(radial.shape[0]):
        for k in range(radial.shape[1]):
            for n in range(radial.shape[2]):
                store(radial, (v, k, n, 0), gather(rows[v, k], n))


@inlined
def _to_pairs(p, count, gx, gy, gz, along, inverse, unit, result, pair_gradient):
    """Add to the pairs' gradients: gx, gy, gz from the solid harmonics, `along` from the distance."""
    over = load(inverse, (0,))
    store(result, (0, 0), gx * over + along * load(unit, (0, 0)))
    store(result, (1, 0), gy * over + along * load(unit, (1, 0)))
    store(result, (2, 0), gz * over + along * load(unit, (2, 0)))
    for b in range(count):
        for c in range(3):
            pair_gradient[p + b, c] += result[c, b]


@loop
def expand(start, stop, first, j, vectors, distances, species, table, step, l_max, norm, out):
    """out[i, lm, (a, n)] += Σ_j R_nl(r_ij) Y_lm(r̂_ij) over the neighbours j of species a."""
    width, orders = table.shape[3], table.shape[2]
    unit, inverse, legendre, cosines, harmonics = _workspace(l_max)
    rows = np.empty((1, orders, LANES, width))
    for i in range(start, stop):
        p = first[i]
        while p < first[i + 1]:
            count = _block(p, first[i + 1], j, vectors, distances, species, unit, inverse)
            _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
            _radial(p, count, distances, table, step, rows)
            offset = species[j[p]] * width
            for l in range(l_max + 1):
                k = min(l, orders - 1)
                for n in range(0, width, LANES):
                    r0, r1 = load(rows, (0, k, 0, n)), load(rows, (0, k, 1, n))
                    r2, r3 = load(rows, (0, k, 2, n)), load(rows, (0, k, 3, n))
                    r4, r5 = load(rows, (0, k, 4, n)), load(rows, (0, k, 5, n))
                    r6, r7 = load(rows, (0, k, 6, n)), load(rows, (0, k, 7, n))
                    for lm in range(l * l, (l + 1) * (l + 1)):
                        left = (r0 * harmonics[lm, 0] + r1 * harmonics[lm, 1] + r2 * harmonics[lm, 2]
                                + r3 * harmonics[lm, 3])
                        right = (r4 * harmonics[lm, 4] + r5 * harmonics[lm, 5] + r6 * harmonics[lm, 6]
                                 + r7 * harmonics[lm, 7])
                        old = load(out, (i, lm, offset + n))
                        store(out, (i, lm, offset + n), old + (left + right))
            p += count


@loop
def pull_back(start, stop, first, j, vectors, distances, species, table, step, l_max, n_radial, norm, d_out,
              pair_gradient):
    """pair_gradient[p] += dE/d(r_j - r_i), given d_out = dE/d(out) of `expand`."""
    width, orders = table.shape[3], table.shape[2]
    unit, inverse, legendre, cosines, harmonics = _workspace(l_max)
    gradients = np.empty((3, (l_max + 1) ** 2, LANES))
    rows, radial = np.empty((2, orders, LANES, width)), np.empty((2, orders, n_radial, LANES))
    result = np.empty((3, LANES))
    for i in range(start, stop):
        p = first[i]
        while p < first[i + 1]:
            count = _block(p, first[i + 1], j, vectors, distances, species, unit, inverse)
            _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
            _harmonic_gradients(l_max, norm, unit, legendre, cosines, gradients)
            _radial(p, count, distances, table, step, rows)
            _turn(rows, radial)
            offset = species[j[p]] * width
            gx, gy, gz, lost, along = splat(0.0), splat(0.0), splat(0.0), splat(0.0), splat(0.0)
            for l in range(l_max + 1):
                k = min(l, orders - 1)
                for lm in range(l * l, (l + 1) * (l + 1)):
                    value, slope = splat(0.0), splat(0.0)
                    for n in range(n_radial):
                        d = d_out[i, lm, offset + n]
                        value += load(radial, (0, k, n, 0)) * d
                        slope += load(radial, (1, k, n, 0)) * d
                    y = load(harmonics, (lm, 0))
                    gx += value * load(gradients, (0, lm, 0))
                    gy += value * load(gradients, (1, lm, 0))
                    gz += value * load(gradients, (2, lm, 0))
                    lost += value * y * float(l)
                    along += slope * y
            along -= lost * load(inverse, (0,))
            _to_pairs(p, count, gx, gy, gz, along, inverse, unit, result, pair_gradient)
            p += count


@loop
def jacobian(start, stop, vectors, distances, values, slopes, l_max, norm, derivative):
    """derivative[p, c, lm, n] = d(R_nl Y_lm)/d(r_j - r_i)_c, given R_nl and R_nl' of every pair, (pairs, l or 0, n)."""
    orders, n_radial = values.shape[1], values.shape[2]
    unit, _, legendre, cosines, harmonics = _workspace(l_max)
    gradients = np.empty((3, (l_max + 1) ** 2, LANES))
    for p0 in range(start, stop, LANES):
        count = min(LANES, stop - p0)
        for b in range(LANES):
            p = p0 + min(b, count - 1)
            for c in range(3):
                unit[c, b] = vectors[p, c] / distances[p]
        _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
        _harmonic_gradients(l_max, norm, unit, legendre, cosines, gradients)
        for b in range(count):
            p = p0 + b
            for l in range(l_max + 1):
                k = min(l, orders - 1)
                for n in range(n_radial):
                    value = values[p, k, n] / distances[p]
                    slope = slopes[p, k, n] - l * value
                    for lm in range(l * l, (l + 1) * (l + 1)):
                        for c in range(3):
                            derivative[p, c, lm, n] = (value * gradients[c, lm, b]
                                                       + slope * unit[c, b] * harmonics[lm, b])


@loop
def expand_carried(start, stop, first, j, vectors, distances, strengths, table, step, l_max, norm, out):
    """out[i, lm, (s, n)] += Σ_j q_js R_nl(r_ij) Y_lm(r̂_ij) over all neighbours j, with strengths[j, s] = q_js."""
    width, orders, carried = table.shape[3], table.shape[2], strengths.shape[1]
    alike = np.zeros(len(strengths), np.int64)
    unit, inverse, legendre, cosines, harmonics = _workspace(l_max)
    rows = np.empty((1, orders, LANES, width))
    for i in range(start, stop):
        p = first[i]
        while p < first[i + 1]:
            count = _block(p, first[i + 1], j, vectors, distances, alike, unit, inverse)
            _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
            _radial(p, count, distances, table, step, rows)
            j0, j1, j2, j3 = j[p], j[p + min(1, count - 1)], j[p + min(2, count - 1)], j[p + min(3, count - 1)]
            j4, j5 = j[p + min(4, count - 1)], j[p + min(5, count - 1)]
            j6, j7 = j[p + min(6, count - 1)], j[p + min(7, count - 1)]
            for l in range(l_max + 1):
                k = min(l, orders - 1)
                for s in range(carried):
                    for n in range(0, width, LANES):
                        r0 = load(rows, (0, k, 0, n)) * strengths[j0, s]
                        r1 = load(rows, (0, k, 1, n)) * strengths[j1, s]
                        r2 = load(rows, (0, k, 2, n)) * strengths[j2, s]
                        r3 = load(rows, (0, k, 3, n)) * strengths[j3, s]
                        r4 = load(rows, (0, k, 4, n)) * strengths[j4, s]
                        r5 = load(rows, (0, k, 5, n)) * strengths[j5, s]
                        r6 = load(rows, (0, k, 6, n)) * strengths[j6, s]
                        r7 = load(rows, (0, k, 7, n)) * strengths[j7, s]
                        for lm in range(l * l, (l + 1) * (l + 1)):
                            left = (r0 * harmonics[lm, 0] + r1 * harmonics[lm, 1] + r2 * harmonics[lm, 2]
                                    + r3 * harmonics[lm, 3])
                            right = (r4 * harmonics[lm, 4] + r5 * harmonics[lm, 5] + r6 * harmonics[lm, 6]
                                     + r7 * harmonics[lm, 7])
                            old = load(out, (i, lm, s * width + n))
                            store(out, (i, lm, s * width + n), old + (left + right))
            p += count


@loop
def pull_back_carried(start, stop, first, j, vectors, distances, strengths, table, step, l_max, n_radial, norm, d_out,
                      need_gradient, pair_gradient, pair_strengths):
    """pair_gradient[p] += dE/d(r_j - r_i) if needed, pair_strengths[p, s] = dE/dq_js through the pair p."""
    width, orders, carried = table.shape[3], table.shape[2], strengths.shape[1]
    alike = np.zeros(len(strengths), np.int64)
    unit, inverse, legendre, cosines, harmonics = _workspace(l_max)
    charge = np.empty(LANES)
    gradients = np.empty((3, (l_max + 1) ** 2, LANES))
    rows, radial = np.empty((2, orders, LANES, width)), np.empty((2, orders, n_radial, LANES))
    result = np.empty((3, LANES))
    for i in range(start, stop):
        p = first[i]
        while p < first[i + 1]:
            count = _block(p, first[i + 1], j, vectors, distances, alike, unit, inverse)
            _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
            if need_gradient:
                _harmonic_gradients(l_max, norm, unit, legendre, cosines, gradients)
            _radial(p, count, distances, table, step, rows)
            _turn(rows, radial)
            gx, gy, gz, along = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
            for s in range(carried):
                for b in range(LANES):
                    charge[b] = strengths[j[p + min(b, count - 1)], s]
                whole, q = splat(0.0), load(charge, (0,))
                for l in range(l_max + 1):
                    k, over = min(l, orders - 1), load(inverse, (0,)) * float(l)
                    for lm in range(l * l, (l + 1) * (l + 1)):
                        value, slope = splat(0.0), splat(0.0)
                        if need_gradient:
                            for n in range(n_radial):
                                d = d_out[i, lm, s * width + n]
                                value += load(radial, (0, k, n, 0)) * d
                                slope += load(radial, (1, k, n, 0)) * d
                            along += q * (slope - value * over) * load(harmonics, (lm, 0))
                            gx += q * value * load(gradients, (0, lm, 0))
                            gy += q * value * load(gradients, (1, lm, 0))
                            gz += q * value * load(gradients, (2, lm, 0))
                        else:
                            for n in range(n_radial):
                                value += load(radial, (0, k, n, 0)) * d_out[i, lm, s * width + n]
                        whole += value * load(harmonics, (lm, 0))
                store(charge, (0,), whole)
                for b in range(count):
                    pair_strengths[p + b, s] = charge[b]
            if need_gradient:
                _to_pairs(p, count, gx, gy, gz, along, inverse, unit, result, pair_gradient)
            p += count


@loop
def near(start, stop, first, j, vectors, distances, strengths, table, step, l_max, norm, out):
    """out[i, lm, a] += Σ_j q_ja R_l(r_ij) Y_lm(r̂_ij): one radial function for each l, `table[..., 0, l]`."""
    orders, channels = (l_max + 1) ** 2, strengths.shape[1]
    alike = np.zeros(len(strengths), np.int64)
    unit, inverse, legendre, cosines, harmonics = _workspace(l_max)
    charge = np.empty(LANES)
    rows, radial = np.empty((1, 1, LANES, table.shape[3])), np.empty((1, 1, l_max + 1, LANES))
    sums = np.empty((channels, orders, LANES))
    for i in range(start, stop):
        sums[:] = 0.0
        p = first[i]
        while p < first[i + 1]:
            count = _block(p, first[i + 1], j, vectors, distances, alike, unit, inverse)
            _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
            _radial(p, count, distances, table, step, rows)
            _turn(rows, radial)
            for a in range(channels):
                for b in range(LANES):
                    charge[b] = strengths[j[p + min(b, count - 1)], a]
                for l in range(l_max + 1):
                    value = load(radial, (0, 0, l, 0)) * load(charge, (0,))
                    for lm in range(l * l, (l + 1) * (l + 1)):
                        store(sums, (a, lm, 0), load(sums, (a, lm, 0)) + value * load(harmonics, (lm, 0)))
            p += count
        for a in range(channels):
            for lm in range(orders):
                out[i, lm, a] += total(load(sums, (a, lm, 0)))


@loop
def pull_back_near(start, stop, first, j, vectors, distances, strengths, table, step, l_max, norm, d_out,
                   need_strengths, pair_gradient, pair_strengths):
    """pair_gradient[p] += dE/d(r_j - r_i), and if needed pair_strengths[p, a] = dE/dq_ja through the pair p."""
    orders, channels = (l_max + 1) ** 2, strengths.shape[1]
    alike = np.zeros(len(strengths), np.int64)
    unit, inverse, legendre, cosines, harmonics = _workspace(l_max)
    charge = np.empty(LANES)
    gradients, weights = np.empty((3, orders, LANES)), np.empty((orders, LANES))
    rows, radial = np.empty((2, 1, LANES, table.shape[3])), np.empty((2, 1, l_max + 1, LANES))
    result = np.empty((3, LANES))
    for i in range(start, stop):
        p = first[i]
        while p < first[i + 1]:
            count = _block(p, first[i + 1], j, vectors, distances, alike, unit, inverse)
            _harmonics(l_max, norm, unit, legendre, cosines, harmonics)
            _harmonic_gradients(l_max, norm, unit, legendre, cosines, gradients)
            _radial(p, count, distances, table, step, rows)
            _turn(rows, radial)
            weights[:] = 0.0
            for a in range(channels):
                for b in range(LANES):
                    charge[b] = strengths[j[p + min(b, count - 1)], a]
                q = load(charge, (0,))
                for lm in range(orders):
                    store(weights, (lm, 0), load(weights, (lm, 0)) + q * d_out[i, lm, a])
                if need_strengths:
                    whole = splat(0.0)
                    for l in range(l_max + 1):
                        inner = splat(0.0)
                        for lm in range(l * l, (l + 1) * (l + 1)):
                            inner += load(harmonics, (lm, 0)) * d_out[i, lm, a]
                        whole += inner * load(radial, (0, 0, l, 0))
                    store(charge, (0,), whole)
                    for b in range(count):
                        pair_strengths[p + b, a] = charge[b]
            gx, gy, gz, along = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
            for l in range(l_max + 1):
                value = load(radial, (0, 0, l, 0))
                slope = load(radial, (1, 0, l, 0)) - value * load(inverse, (0,)) * float(l)
                for lm in range(l * l, (l + 1) * (l + 1)):
                    weight = load(weights, (lm, 0))
                    along += weight * slope * load(harmonics, (lm, 0))
                    weight = weight * value
                    gx += weight * load(gradients, (0, lm, 0))
                    gy += weight * load(gradients, (1, lm, 0))
                    gz += weight * load(gradients, (2, lm, 0))
            _to_pairs(p, count, gx, gy, gz, along, inverse, unit, result, pair_gradient)
            p += count
