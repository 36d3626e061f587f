"""Particle mesh: spreading onto a grid and reading off it with B-splines, and sums over its Fourier modes.

The spline order and the number of derivatives are passed as tuples of that length: their lengths are known when a loop
is compiled, which unrolls the innermost loops. Grids are periodic, shape (channels, x, y, z). Indices of the innermost
loops are made unsigned, which spares the test for counting from the end.
"""

import numpy as np

from ase_lode._loops.compile import loop


@loop
def splines(start, stop, coordinates, shape, support, derivatives, firsts, weights):
    """B-spline weights of the grid points around each atom.

    Parameters
    ----------
    coordinates : array, shape (atoms, 3)
        Positions in units of the grid spacing, 0 ≤ u ≤ shape.
    shape : array of int, shape (3,)
    support : tuple of length P
        The even spline order.
    derivatives : tuple of length D
        Derivatives of order 0..D-1 are made.
    firsts : array of int, shape (atoms, 3)
        Output: first grid point of each stencil, wrapped.
    weights : array, shape (atoms, 3, D, P)
        Output: dᵈβ/duᵈ at the P grid points.
    """
    order = len(support)
    line = np.empty(order)
    for i in range(start, stop):
        for c in range(3):
            base = int(coordinates[i, c])
            t = coordinates[i, c] - base
            firsts[i, c] = (base - order // 2 + 1) % shape[c]
            line[0] = 1.0
            for k in range(1, order + 1):
                if k > 1:
                    line[k - 1] = t / (k - 1) * line[k - 2]
                    for j in range(k - 2, 0, -1):
                        line[j] = ((t + k - 1 - j) * line[j - 1] + (1 - t + j) * line[j]) / (k - 1)
                    line[0] *= (1 - t) / (k - 1)
                d = order - k
                if d < len(derivatives):
                    for j in range(k):
                        weights[i, c, d, j] = line[j]
                    for n in range(k, order):
                        # Each derivative is a difference of splines one order lower.
                        weights[i, c, d, n] = weights[i, c, d, n - 1]
                        for j in range(n - 1, 0, -1):
                            weights[i, c, d, j] = weights[i, c, d, j - 1] - weights[i, c, d, j]
                        weights[i, c, d, 0] = -weights[i, c, d, 0]


@loop
def _wrapped(first, n, out):
    """Indices first, first + 1, ... on a periodic axis of n points."""
    for j in range(len(out)):
        out[j] = first + j
        while out[j] >= n:
            out[j] -= n


@loop
def _gather(grid, i_x, i_y, i_z, support, block):
    """Copy a stencil to block[x, y * P + z]."""
    order = len(i_x)
    inside = i_z[order - 1] - i_z[0] == order - 1
    for x in range(order):
        for y in range(order):
            source = grid[i_x[x], i_y[y]]
            if inside:
                for z in range(len(support)):
                    block[x, np.uint64(y * order + z)] = source[np.uint64(i_z[0] + z)]
            else:
                for z in range(len(support)):
                    block[x, y * order + z] = source[i_z[z]]


@loop
def read(start, stop, firsts, weights, grids, powers, support, derivatives, out):
    """Derivatives of the interpolated grids at the atoms.

    Parameters
    ----------
    firsts, weights : arrays
        From `splines`, with at least len(derivatives) derivatives.
    grids : array, shape (channels, x, y, z)
    powers : array of int, shape (monomials, 3)
        Orders of the derivatives along the three axes, total below len(derivatives).
    out : array, shape (atoms, channels, monomials)
        Output: derivatives with respect to grid coordinates.
    """
    order, n_derivatives = weights.shape[3], len(derivatives)
    _, n_x, n_y, n_z = grids.shape
    i_x, i_y, i_z = np.empty(order, np.int64), np.empty(order, np.int64), np.empty(order, np.int64)
    block = np.empty((order, order * order))
    plane = np.empty(order * order)
    lines = np.empty((n_derivatives, n_derivatives, order))
    for i in range(start, stop):
        _wrapped(firsts[i, 0], n_x, i_x)
        _wrapped(firsts[i, 1], n_y, i_y)
        _wrapped(firsts[i, 2], n_z, i_z)
        for a in range(len(grids)):
            _gather(grids[a], i_x, i_y, i_z, support, block)
            for d in range(n_derivatives):
                for m in range(order * order):
                    total = 0.0
                    for x in range(len(support)):
                        total += weights[i, 0, d, x] * block[x, m]
                    plane[m] = total
                for e in range(n_derivatives - d):
                    for z in range(order):
                        total = 0.0
                        for y in range(len(support)):
                            total += weights[i, 1, e, y] * plane[y * order + z]
                        lines[d, e, z] = total
            for n in range(len(powers)):
                d, e, f = powers[n]
                total = 0.0
                for z in range(len(support)):
                    total += weights[i, 2, f, z] * lines[d, e, z]
                out[i, a, n] = total


@loop
def spread(start, stop, firsts, weights, sources, powers, support, derivatives, grids):
    """Add the sources to the grid rows (x, y) in a range, in the order of the atoms.

    A row belongs to one range and sums its atoms in order, so the result does not depend on how the rows are divided.

    Parameters
    ----------
    start, stop : int
        Range of rows x * n_y + y.
    sources : array, shape (atoms, channels, monomials)
        Coefficients of the derivatives of the spline in each atom's contribution.
    grids : array, shape (channels, x, y, z)
        Output; rows in the range are overwritten.
    """
    order, n_derivatives = weights.shape[3], len(derivatives)
    n_channels, n_x, n_y, n_z = grids.shape
    low, high = start // n_y, (stop - 1) // n_y
    i_x, i_y, i_z = np.empty(order, np.int64), np.empty(order, np.int64), np.empty(order, np.int64)
    lines = np.empty((n_derivatives, n_derivatives, order))
    plane = np.empty((n_derivatives, order * order))
    sheet = np.empty(order * order)
    for a in range(n_channels):
        for r in range(start, stop):
            grids[a, r // n_y, r % n_y, :] = 0.0
    for i in range(len(firsts)):
        _wrapped(firsts[i, 0], n_x, i_x)
        touched = False
        for x in range(order):
            touched = touched or low <= i_x[x] <= high
        if not touched:
            continue
        first_z = firsts[i, 2]
        _wrapped(firsts[i, 1], n_y, i_y)
        _wrapped(first_z, n_z, i_z)
        for a in range(n_channels):
            lines[:] = 0.0
            for n in range(len(powers)):
                d, e, f = powers[n]
                source = sources[i, a, n]
                for z in range(order):
                    lines[d, e, z] += source * weights[i, 2, f, z]
            for d in range(n_derivatives):
                for y in range(order):
                    for z in range(order):
                        total = 0.0
                        for e in range(len(derivatives)):
                            total += weights[i, 1, e, y] * lines[d, e, z]
                        plane[d, y * order + z] = total
            for x in range(order):
                if i_x[x] < low or i_x[x] > high:
                    continue
                for m in range(order * order):
                    total = 0.0
                    for d in range(len(derivatives)):
                        total += weights[i, 0, d, x] * plane[d, m]
                    sheet[m] = total
                for y in range(order):
                    r = i_x[x] * n_y + i_y[y]
                    if r < start or r >= stop:
                        continue
                    target = grids[a, i_x[x], i_y[y]]
                    if first_z + order <= n_z:
                        for z in range(len(support)):
                            target[np.uint64(first_z + z)] += sheet[np.uint64(y * order + z)]
                    else:
                        for z in range(len(support)):
                            target[i_z[z]] += sheet[y * order + z]


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


@loop
def multiply(start, stop, spectra, kernel, out):
    """out = kernel * spectra on the rows x * n_y + y in a range; spectra (channels, x, y, z)."""
    n_y, n_z = kernel.shape[1], kernel.shape[2]
    for a in range(len(spectra)):
        for r in range(start, stop):
            x, y = r // n_y, r % n_y
            for z in range(n_z):
                out[a, x, y, z] = kernel[x, y, z] * spectra[a, x, y, z]


@loop
def moments(start, stop, spectra, others, slope, out):
    """Sums Σ_z slope Re(spectra* others) m^n, n = 0, 1, 2, over each row, m the frequency index along z.

    Parameters
    ----------
    spectra, others : complex arrays, shape (channels, x, y, z)
        Spectra of real grids: z runs over the non-negative frequencies. The modes left out are the mirror images of
        those kept, so the caller doubles all but the m = 0 column; `out` holds that column separately.
    slope : array, shape (x, y, z)
        Zero at the Nyquist frequencies.
    out : array, shape (rows, 4)
        m = 0, then the three moments of m > 0.
    """
    n_y, n_z = slope.shape[1], slope.shape[2]
    for r in range(start, stop):
        x, y = r // n_y, r % n_y
        column, zeroth, first, second = 0.0, 0.0, 0.0, 0.0
        for a in range(len(spectra)):
            one, other = spectra[a, x, y, 0], others[a, x, y, 0]
            column += slope[x, y, 0] * (one.real * other.real + one.imag * other.imag)
            for z in range(1, n_z):
                one, other = spectra[a, x, y, z], others[a, x, y, z]
                term = slope[x, y, z] * (one.real * other.real + one.imag * other.imag)
                zeroth += term
                first += term * z
                second += term * z * z
        out[r, 0] = column
        out[r, 1] = zeroth
        out[r, 2] = first
        out[r, 3] = second
