"""Particle mesh: spreading onto a grid and reading off it with B-splines.

The innermost loops run along z in vectors: `weights` are padded with zeros to a multiple of 8, and grids have the shape
(channels, x, y * (z + margin)), where the margin, as long as a padded stencil, stands for the first points again. The
numbers of derivatives and of vectors in a stencil are passed as tuples of that length: they are known when a loop is
compiled, which unrolls its loops.
"""

import numpy as np

from ase_lode._loops.compile import LANES, inlined, load, loop, splat, store, total


@loop
def splines(start, stop, coordinates, shape, order, pieces, firsts, weights):
    """B-spline weights of the grid points around each atom.

    Parameters
    ----------
    coordinates : array, shape (atoms, 3)
        Positions in units of the grid spacing, 0 ≤ u ≤ shape.
    shape : array of int, shape (3,)
    order : int
        Even spline order P.
    pieces : array, shape (D, P, padded P)
        Polynomials of the spline and its derivatives at each of the P points: coefficients of powers of t - 1/2, t the
        coordinate past a grid point.
    firsts : array of int, shape (atoms, 3)
        Output: first grid point of each stencil, wrapped.
    weights : array, shape (atoms, 3, D, padded P)
        Output: dᵈβ/duᵈ at the grid points.
    """
    for i in range(start, stop):
        for c in range(3):
            base = int(coordinates[i, c])
            t = coordinates[i, c] - base - 0.5
            firsts[i, c] = (base - order // 2 + 1) % shape[c]
            for d in range(pieces.shape[0]):
                for b in range(0, pieces.shape[2], LANES):
                    value = load(pieces, (d, order - 1 - d, b))
                    for n in range(order - 2 - d, -1, -1):
                        value = value * t + load(pieces, (d, n, b))
                    store(weights, (i, c, d, b), value)


@inlined
def _wrapped(first, n, factor, shift, out):
    """Indices first, first + 1, ... on a periodic axis of n points, times a factor plus a shift."""
    for j in range(len(out)):
        index = first + j
        while index >= n:
            index -= n
        out[j] = index * factor + shift


@loop
def read(start, stop, firsts, weights, order, grids, powers, shape, length, vectors, derivatives, out):
    """Derivatives of the interpolated grids at the atoms.

    Parameters
    ----------
    firsts, weights : arrays
        From `splines`, with at least len(derivatives) derivatives, rounded up to an even number.
    grids : array, shape (channels, x, y * (z + margin))
    powers : array of int, shape (monomials, 3)
        Orders of the derivatives along the three axes, total below len(derivatives).
    out : array, shape (atoms, channels, monomials)
        Output: derivatives with respect to grid coordinates.
    """
    n_derivatives, padded = len(derivatives), LANES * len(vectors)
    even = n_derivatives + n_derivatives % 2
    planes, rows = np.empty(order, np.int64), np.empty(order, np.int64)
    sheet = np.empty((order, even, padded))
    lines = np.empty((n_derivatives, n_derivatives, padded))
    for i in range(start, stop):
        _wrapped(firsts[i, 0], shape[0], 1, 0, planes)
        _wrapped(firsts[i, 1], shape[1], length, firsts[i, 2], rows)
        for a in range(len(grids)):
            for x in range(order):
                plane = planes[x]
                for k in range(len(vectors)):
                    for e in range(0, even, 2):
                        one, other = splat(0.0), splat(0.0)
                        for y in range(order):
                            row = load(grids, (a, plane, rows[y] + k * LANES))
                            one += row * weights[i, 1, e, y]
                            other += row * weights[i, 1, e + 1, y]
                        store(sheet, (x, e, k * LANES), one)
                        store(sheet, (x, e + 1, k * LANES), other)
            for d in range(n_derivatives):
                for e in range(n_derivatives - d):
                    for k in range(len(vectors)):
                        value = splat(0.0)
                        for x in range(order):
                            value += load(sheet, (x, e, k * LANES)) * weights[i, 0, d, x]
                        store(lines, (d, e, k * LANES), value)
            for n in range(len(powers)):
                d, e, f = powers[n]
                value = splat(0.0)
                for k in range(len(vectors)):
                    value += load(lines, (d, e, k * LANES)) * load(weights, (i, 2, f, k * LANES))
                out[i, a, n] = total(value)


@loop
def spread(start, stop, firsts, weights, order, sources, powers, shape, length, vectors, derivatives, grids):
    """Add the sources to the grid planes whose first row is in a range of rows, in the order of the atoms.

    A plane belongs to one range and sums its atoms in order, so the result does not depend on how the rows are divided.

    Parameters
    ----------
    start, stop : int
        Range of rows x * n_y + y.
    sources : array, shape (atoms, channels, monomials)
        Coefficients of the derivatives of the spline in each atom's contribution.
    grids : array, shape (channels, x, y * (z + margin))
        Output; planes in the range are overwritten.
    """
    n_derivatives, padded = len(derivatives), LANES * len(vectors)
    n_x, n_y, n_z = shape
    low, high = -(-start // n_y), -(-stop // n_y)
    planes, rows = np.empty(order, np.int64), np.empty(order, np.int64)
    lines = np.empty((n_derivatives, n_derivatives, padded))
    sheet = np.empty((order, n_derivatives, padded))
    for a in range(len(grids)):
        grids[a, low:high] = 0.0
    for i in range(len(firsts)):
        _wrapped(firsts[i, 0], n_x, 1, 0, planes)
        touched = False
        for x in range(order):
            touched = touched or low <= planes[x] < high
        if not touched:
            continue
        _wrapped(firsts[i, 1], n_y, length, firsts[i, 2], rows)
        for a in range(len(grids)):
            lines[:] = 0.0
            for n in range(len(powers)):
                d, e, f = powers[n]
                source = sources[i, a, n]
                for k in range(len(vectors)):
                    old = load(lines, (d, e, k * LANES))
                    store(lines, (d, e, k * LANES), old + load(weights, (i, 2, f, k * LANES)) * source)
            for y in range(order):
                for d in range(n_derivatives):
                    for k in range(len(vectors)):
                        value = splat(0.0)
                        for e in range(n_derivatives - d):
                            value += load(lines, (d, e, k * LANES)) * weights[i, 1, e, y]
                        store(sheet, (y, d, k * LANES), value)
            for x in range(order):
                plane = planes[x]
                if plane < low or plane >= high:
                    continue
                for y in range(order):
                    row = rows[y]
                    for k in range(len(vectors)):
                        value = load(grids, (a, plane, row + k * LANES))
                        for d in range(n_derivatives):
                            value += load(sheet, (y, d, k * LANES)) * weights[i, 0, d, x]
                        store(grids, (a, plane, row + k * LANES), value)
    for a in range(len(grids)):
        for x in range(low, high):
            for row in range(0, n_y * length, length):
                for z in range(n_z, length):
                    grids[a, x, row + z % n_z] += grids[a, x, row + z]


@loop
def repeat_margin(start, stop, grids, shape, length):
    """Fill the margin of the rows x * n_y + y in a range with the first points."""
    n_y, n_z = shape[1], shape[2]
    for a in range(len(grids)):
        for r in range(start, stop):
            row = grids[a, r // n_y, r % n_y * length : (r % n_y + 1) * length]
            for z in range(n_z, length):
                row[z] = row[z - n_z]


@loop
def transform(start, stop, array, matrix, out):
    """out[i, a] = matrix @ array[i, a] for the atoms in a range."""
    for i in range(start, stop):
        for a in range(array.shape[1]):
            for row in range(len(matrix)):
                total = 0.0
                for m in range(matrix.shape[1]):
                    total += matrix[row, m] * array[i, a, m]
                out[i, a, row] = total
