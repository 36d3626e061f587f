"""Convolution on a periodic grid by fast Fourier transforms, eight lines at a time in the lanes of vectors.

A real grid is transformed along x, two groups of lines as real and imaginary part of one. The planes that come out, one
for each frequency k_x ≥ 0, are transformed along y and z, multiplied by the kernel and transformed back while they are
in the cache. Frequencies stand in the order of numpy.fft.

Only the first points along an axis may be filled, m_x of n_x and so on: the others are zero and are neither stored nor
wanted back, and lines without filled points are not transformed.

Layouts: grids (channels, x, y * row), spectra (channels, k_x, re or im * y * z) with all of y and the filled part of z,
padded to whole lanes, and (k_x, block of k_y, k_z, lane) for the kernel and what is kept of the spectra. The first two
may have longer planes: an odd number of cache lines apart they do not compete for the same place in the cache.
"""

from math import cos, pi, sin

import numpy as np

from ase_lode._loops.compile import LANES, inlined, load, loop, splat, store, transpose


@inlined
def _turn(twiddles, at, real, imaginary, work, dst, re, place):
    """Store a number times a twiddle factor."""
    c, s = twiddles[at, 0], twiddles[at, 1]
    store(work, (dst, re, place, 0), real * c - imaginary * s)
    store(work, (dst, 1 - re, place, 0), imaginary * c + real * s)


@inlined
def _twos(half, stride, twiddles, at, work, src, re):
    dst, im = 1 - src, 1 - re
    for p in range(half):
        for q in range(stride):
            x, y = p * stride + q, 2 * p * stride + q
            ar, ai = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += half * stride
            br, bi = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            store(work, (dst, re, y, 0), ar + br)
            store(work, (dst, im, y, 0), ai + bi)
            _turn(twiddles, at + p, ar - br, ai - bi, work, dst, re, y + stride)


@inlined
def _threes(third, stride, twiddles, at, work, src, re):
    dst, im, sine = 1 - src, 1 - re, 0.5 * 3.0**0.5
    for p in range(third):
        for q in range(stride):
            x, y = p * stride + q, 3 * p * stride + q
            ar, ai = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += third * stride
            br, bi = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += third * stride
            cr, ci = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            tr, ti, vr, vi = br + cr, bi + ci, (br - cr) * sine, (bi - ci) * sine
            store(work, (dst, re, y, 0), ar + tr)
            store(work, (dst, im, y, 0), ai + ti)
            ur, ui = ar - tr * 0.5, ai - ti * 0.5
            _turn(twiddles, at + 2 * p, ur + vi, ui - vr, work, dst, re, y + stride)
            _turn(twiddles, at + 2 * p + 1, ur - vi, ui + vr, work, dst, re, y + 2 * stride)


@inlined
def _fours(quarter, stride, twiddles, at, work, src, re):
    dst, im = 1 - src, 1 - re
    for p in range(quarter):
        for q in range(stride):
            x, y = p * stride + q, 4 * p * stride + q
            ar, ai = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += quarter * stride
            br, bi = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += quarter * stride
            cr, ci = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += quarter * stride
            dr, di = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            sr, si, tr, ti = ar + cr, ai + ci, ar - cr, ai - ci
            ur, ui, vr, vi = br + dr, bi + di, br - dr, bi - di
            store(work, (dst, re, y, 0), sr + ur)
            store(work, (dst, im, y, 0), si + ui)
            _turn(twiddles, at + 3 * p, tr + vi, ti - vr, work, dst, re, y + stride)
            _turn(twiddles, at + 3 * p + 1, sr - ur, si - ui, work, dst, re, y + 2 * stride)
            _turn(twiddles, at + 3 * p + 2, tr - vi, ti + vr, work, dst, re, y + 3 * stride)


@inlined
def _fives(fifth, stride, twiddles, at, work, src, re):
    dst, im = 1 - src, 1 - re
    c1, c2, s1, s2 = cos(0.4 * pi), cos(0.8 * pi), sin(0.4 * pi), sin(0.8 * pi)
    for p in range(fifth):
        for q in range(stride):
            x, y = p * stride + q, 5 * p * stride + q
            ar, ai = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += fifth * stride
            br, bi = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += fifth * stride
            cr, ci = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += fifth * stride
            dr, di = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            x += fifth * stride
            er, ei = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
            tr, ti, ur, ui = br + er, bi + ei, cr + dr, ci + di
            vr, vi, wr, wi = br - er, bi - ei, cr - dr, ci - di
            store(work, (dst, re, y, 0), ar + tr + ur)
            store(work, (dst, im, y, 0), ai + ti + ui)
            mr, mi, nr, ni = ar + tr * c1 + ur * c2, ai + ti * c1 + ui * c2, vr * s1 + wr * s2, vi * s1 + wi * s2
            _turn(twiddles, at + 4 * p, mr + ni, mi - nr, work, dst, re, y + stride)
            _turn(twiddles, at + 4 * p + 3, mr - ni, mi + nr, work, dst, re, y + 4 * stride)
            mr, mi, nr, ni = ar + tr * c2 + ur * c1, ai + ti * c2 + ui * c1, vr * s2 - wr * s1, vi * s2 - wi * s1
            _turn(twiddles, at + 4 * p + 1, mr + ni, mi - nr, work, dst, re, y + 2 * stride)
            _turn(twiddles, at + 4 * p + 2, mr - ni, mi + nr, work, dst, re, y + 3 * stride)


@inlined
def _others(radix, part, stride, twiddles, at, work, src, re):
    """Any other radix by its definition; for sizes that somebody insists on."""
    dst, im = 1 - src, 1 - re
    for p in range(part):
        for q in range(stride):
            for k in range(radix):
                real, imaginary = splat(0.0), splat(0.0)
                for j in range(radix):
                    x, angle = (p + j * part) * stride + q, -2 * pi * (j * k % radix) / radix
                    ar, ai = load(work, (src, re, x, 0)), load(work, (src, im, x, 0))
                    real += ar * cos(angle) - ai * sin(angle)
                    imaginary += ai * cos(angle) + ar * sin(angle)
                y = (radix * p + k) * stride + q
                if k == 0:
                    store(work, (dst, re, y, 0), real)
                    store(work, (dst, im, y, 0), imaginary)
                else:
                    _turn(twiddles, at + (radix - 1) * p + k - 1, real, imaginary, work, dst, re, y)


@inlined
def _transform(n, radices, twiddles, work, re):
    """Transform work[0, (re, im), :n, lane], after Stockham; returns which half of `work` holds the result.

    With re = 1 real and imaginary parts are exchanged before and after, which is the inverse without its 1/n.
    """
    length, stride, at, src = n, 1, 0, 0
    for radix in radices:
        length //= radix
        if radix == 4:
            _fours(length, stride, twiddles, at, work, src, re)
        elif radix == 5:
            _fives(length, stride, twiddles, at, work, src, re)
        elif radix == 3:
            _threes(length, stride, twiddles, at, work, src, re)
        elif radix == 2:
            _twos(length, stride, twiddles, at, work, src, re)
        else:
            _others(radix, length, stride, twiddles, at, work, src, re)
        at += (radix - 1) * length
        stride *= radix
        src = 1 - src
    return src


@inlined
def _places(pair, groups, blocks):
    """Line and first point of both groups of a pair; the last pair of an odd number holds one group twice."""
    g, h = 2 * pair, min(2 * pair + 1, groups - 1)
    return g // blocks, g % blocks * LANES, h // blocks, h % blocks * LANES


@loop
def to_planes(start, stop, grids, n_x, n_y, m_y, row, spectra, blocks, radices, twiddles):
    """Transform pairs of groups of 8 lines along x; the range counts pairs, `blocks` groups to a row."""
    m_x, groups = grids.shape[1], m_y * blocks
    width = blocks * LANES
    imaginary = -(-n_y // LANES) * LANES * width
    work = np.empty((2, 2, n_x, LANES))
    for a in range(len(grids)):
        for pair in range(start, stop):
            y, z, v, w = _places(pair, groups, blocks)
            for x in range(m_x):
                store(work, (0, 0, x, 0), load(grids, (a, x, y * row + z)))
                store(work, (0, 1, x, 0), load(grids, (a, x, v * row + w)))
            for x in range(m_x, n_x):
                store(work, (0, 0, x, 0), splat(0.0))
                store(work, (0, 1, x, 0), splat(0.0))
            at = _transform(n_x, radices, twiddles, work, 0)
            for x in range(spectra.shape[1]):
                m = n_x - x if x else 0
                zr, zi = load(work, (at, 0, x, 0)) * 0.5, load(work, (at, 1, x, 0)) * 0.5
                mr, mi = load(work, (at, 0, m, 0)) * 0.5, load(work, (at, 1, m, 0)) * 0.5
                store(spectra, (a, x, y * width + z), zr + mr)
                store(spectra, (a, x, imaginary + y * width + z), zi - mi)
                store(spectra, (a, x, v * width + w), zi + mi)
                store(spectra, (a, x, imaginary + v * width + w), mr - zr)


@loop
def from_planes(start, stop, grids, n_x, n_y, m_y, row, spectra, blocks, radices, twiddles):
    """The inverse of `to_planes`, n_x times too large."""
    m_x, groups = grids.shape[1], m_y * blocks
    width = blocks * LANES
    imaginary = -(-n_y // LANES) * LANES * width
    work = np.empty((2, 2, n_x, LANES))
    for a in range(len(grids)):
        for pair in range(start, stop):
            y, z, v, w = _places(pair, groups, blocks)
            for x in range(spectra.shape[1]):
                m = n_x - x if x else 0
                ar, ai = load(spectra, (a, x, y * width + z)), load(spectra, (a, x, imaginary + y * width + z))
                br, bi = load(spectra, (a, x, v * width + w)), load(spectra, (a, x, imaginary + v * width + w))
                store(work, (0, 0, m, 0), ar + bi)
                store(work, (0, 1, m, 0), br - ai)
                store(work, (0, 0, x, 0), ar - bi)
                store(work, (0, 1, x, 0), ai + br)
            at = _transform(n_x, radices, twiddles, work, 1)
            for x in range(m_x):
                store(grids, (a, x, y * row + z), load(work, (at, 0, x, 0)))
                store(grids, (a, x, v * row + w), load(work, (at, 1, x, 0)))


@inlined
def _along_y(plane, n_y, n_in, n_out, radices, twiddles, work, re):
    """Transform the first `n_in` of `n_y` rows, the others zero, and keep the first `n_out`."""
    for z in range(0, plane.shape[2], LANES):
        for y in range(n_in):
            store(work, (0, 0, y, 0), load(plane, (0, y, z)))
            store(work, (0, 1, y, 0), load(plane, (1, y, z)))
        for y in range(n_in, n_y):
            store(work, (0, 0, y, 0), splat(0.0))
            store(work, (0, 1, y, 0), splat(0.0))
        at = _transform(n_y, radices, twiddles, work, re)
        for y in range(n_out):
            store(plane, (0, y, z), load(work, (at, 0, y, 0)))
            store(plane, (1, y, z), load(work, (at, 1, y, 0)))


@inlined
def _rows_to_lanes(plane, y, work):
    """work[0, part, z, :] = plane[part, y : y + 8, z]."""
    for part in range(2):
        for z in range(0, plane.shape[2], LANES):
            a, b, c, d, e, f, g, h = transpose(
                load(plane, (part, y, z)), load(plane, (part, y + 1, z)), load(plane, (part, y + 2, z)),
                load(plane, (part, y + 3, z)), load(plane, (part, y + 4, z)), load(plane, (part, y + 5, z)),
                load(plane, (part, y + 6, z)), load(plane, (part, y + 7, z)))
            store(work, (0, part, z, 0), a)
            store(work, (0, part, z + 1, 0), b)
            store(work, (0, part, z + 2, 0), c)
            store(work, (0, part, z + 3, 0), d)
            store(work, (0, part, z + 4, 0), e)
            store(work, (0, part, z + 5, 0), f)
            store(work, (0, part, z + 6, 0), g)
            store(work, (0, part, z + 7, 0), h)


@inlined
def _lanes_to_rows(plane, y, work, at):
    """plane[part, y : y + 8, z] = work[at, part, z, :]."""
    for part in range(2):
        for z in range(0, plane.shape[2], LANES):
            a, b, c, d, e, f, g, h = transpose(
                load(work, (at, part, z, 0)), load(work, (at, part, z + 1, 0)), load(work, (at, part, z + 2, 0)),
                load(work, (at, part, z + 3, 0)), load(work, (at, part, z + 4, 0)), load(work, (at, part, z + 5, 0)),
                load(work, (at, part, z + 6, 0)), load(work, (at, part, z + 7, 0)))
            store(plane, (part, y, z), a)
            store(plane, (part, y + 1, z), b)
            store(plane, (part, y + 2, z), c)
            store(plane, (part, y + 3, z), d)
            store(plane, (part, y + 4, z), e)
            store(plane, (part, y + 5, z), f)
            store(plane, (part, y + 6, z), g)
            store(plane, (part, y + 7, z), h)


@loop
def convolve(start, stop, spectra, n_y, m_y, n_z, width, y_radices, y_twiddles, z_radices, z_twiddles, kernel, slope,
             compare, kept, sums):
    """Transform planes along y and z, multiply by the kernel and transform back.

    Parameters
    ----------
    start, stop : int
        Planes whose first row x * n_y is in this range are treated.
    width : int
        Filled points along z, padded to whole lanes.
    kernel, slope : arrays, shape (k_x, block of k_y, k_z, lane)
        `slope` is zero at the Nyquist frequencies.
    compare : bool
        False: write the transforms to `kept` unless it is empty. True: add up how they strain with those in `kept`.
    kept : array, shape (channels, k_x, block of k_y, k_z, re or im, lane)
    sums : array, shape (k_x, block of k_y, 3, lane)
        Output of `compare`: Σ_z slope Re(kept* spectra) m^n, n = 0, 1, 2, with m the signed frequency along z.
    """
    n_rows, keep = kernel.shape[1] * LANES, not compare and len(kept) > 0
    y_work, z_work = np.empty((2, 2, n_y, LANES)), np.zeros((2, 2, max(width, n_z), LANES))
    for x in range(-(-start // n_y), -(-stop // n_y)):
        if compare:
            sums[x] = 0.0
        for a in range(len(spectra)):
            plane = spectra[a, x, : 2 * n_rows * width].reshape(2, n_rows, width)
            _along_y(plane, n_y, m_y, n_y, y_radices, y_twiddles, y_work, 0)
            for block in range(kernel.shape[1]):
                _rows_to_lanes(plane, block * LANES, z_work)
                for z in range(width, n_z):
                    store(z_work, (0, 0, z, 0), splat(0.0))
                    store(z_work, (0, 1, z, 0), splat(0.0))
                at = _transform(n_z, z_radices, z_twiddles, z_work, 0)
                if compare:
                    zeroth, first, second = splat(0.0), splat(0.0), splat(0.0)
                    for z in range(n_z):
                        m = float(z if 2 * z <= n_z else z - n_z)
                        term = load(slope, (x, block, z, 0)) * (
                            load(z_work, (at, 0, z, 0)) * load(kept, (a, x, block, z, 0, 0))
                            + load(z_work, (at, 1, z, 0)) * load(kept, (a, x, block, z, 1, 0)))
                        zeroth += term
                        first += term * m
                        second += term * (m * m)
                    store(sums, (x, block, 0, 0), load(sums, (x, block, 0, 0)) + zeroth)
                    store(sums, (x, block, 1, 0), load(sums, (x, block, 1, 0)) + first)
                    store(sums, (x, block, 2, 0), load(sums, (x, block, 2, 0)) + second)
                for z in range(n_z):
                    real, imaginary = load(z_work, (at, 0, z, 0)), load(z_work, (at, 1, z, 0))
                    if keep:
                        store(kept, (a, x, block, z, 0, 0), real)
                        store(kept, (a, x, block, z, 1, 0), imaginary)
                    factor = load(kernel, (x, block, z, 0))
                    store(z_work, (0, 0, z, 0), real * factor)
                    store(z_work, (0, 1, z, 0), imaginary * factor)
                at = _transform(n_z, z_radices, z_twiddles, z_work, 1)
                _lanes_to_rows(plane, block * LANES, z_work, at)
            _along_y(plane, n_y, n_y, m_y, y_radices, y_twiddles, y_work, 1)
