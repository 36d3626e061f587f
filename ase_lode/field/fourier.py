"""Convolution of periodic grids with a kernel given by its transform; grids that are empty in part cost less."""

import threading

import numpy as np

from ase_lode import memory, parallel
from ase_lode._loops import fourier as loops
from ase_lode._loops.compile import LANES


class Convolution:
    """Convolution on one grid, and how it strains.

    Parameters
    ----------
    grid : Grid
    kernel : array, shape (n_x // 2 + 1, n_y, n_z)
        Factor of every mode with k_x ≥ 0; even in k.
    slope : array, same shape
        Its derivative by k², zero at the Nyquist frequencies.
    row : int
        Numbers from one row of filled points along z to the next, a multiple of 8 and not less than their number.
    """

    def __init__(self, grid, kernel, slope, row):
        n_x, n_y, _ = self._shape = grid.shape
        self._filled, self._strains = grid.filled, any(grid.periodic)
        self._plans = [plan(n) for n in grid.shape]
        self._kernel = _blocks(kernel / np.prod(grid.shape))
        self._slope = _blocks(slope) if self._strains else np.zeros((1, 1, 1, LANES))
        self._row = row
        self._vectors = grid.reciprocal()
        self._scale = 1 / np.prod(grid.shape)
        self._x = np.arange(n_x // 2 + 1.0)
        self._y = np.zeros(self._kernel.shape[1] * LANES)
        self._y[:n_y] = np.fft.fftfreq(n_y, 1 / n_y)
        self._spectra = Planes()

    def convolve(self, grids, n_threads, others=None):
        """Convolve grids in place.

        Parameters
        ----------
        grids : array, shape (channels, filled x, at least filled y * row)
            See `Planes`. What follows the filled points in a row is undefined afterwards.
        n_threads : int
        others : array, optional
            What this returned for other grids.

        Returns
        -------
        array
            Without `others` the transform of the grids, empty where no direction is periodic and nothing strains. With
            it Σ_k slope k ⊗ k Re(others* transform)/N, shape (3, 3), N the number of grid points.
        """
        (n_x, n_y, n_z), (x, y, z) = self._shape, self._plans
        _, m_y, m_z = self._filled
        half, blocks = self._kernel.shape[:2]
        groups = -(-m_z // LANES)
        spectra = self._spectra.get(len(grids), half, 2 * blocks * LANES * groups * LANES)
        pairs = -(-m_y * groups // 2)
        layout = grids, n_x, n_y, m_y, self._row, spectra, groups, *x
        parallel.run(loops.to_planes, pairs, n_threads, *layout)
        compare = self._strains and others is not None
        kept = others if others is not None else memory.empty(
            (len(grids) if self._strains else 0, *self._kernel.shape[:3], 2, LANES))
        sums = np.zeros((half, blocks, 3, LANES))
        parallel.run(loops.convolve, half * n_y, n_threads, spectra, n_y, m_y, n_z, groups * LANES, *y, *z,
                     self._kernel, self._slope, compare, kept, sums)
        parallel.run(loops.from_planes, pairs, n_threads, *layout)
        return kept if others is None else self._moments(sums)

    def _moments(self, sums):
        zeroth, first, second = sums.transpose(2, 0, 1, 3).reshape(3, len(sums), -1)
        x, y = np.where(self._x > 0, 2.0, 1.0), self._y  # modes with k_x > 0 stand for their mirror images
        one, place = x @ zeroth, (x * self._x) @ zeroth
        first = first.T @ np.stack([x, x * self._x], axis=1)
        moments = np.array([[np.sum((x * self._x**2) @ zeroth), place @ y, first[:, 1].sum()],
                            [0.0, one @ y**2, y @ first[:, 0]],
                            [0.0, 0.0, np.sum(x @ second)]])
        moments += np.triu(moments, 1).T
        return self._scale * self._vectors.T @ moments @ self._vectors


class Planes(threading.local):
    """Grids that stay in memory from one call to the next, of each thread its own.

    They start on a cache line, and planes are an odd number of lines apart: lines across them then use all of the
    cache.
    """

    _shape = None

    def __reduce__(self):
        return Planes, ()

    def get(self, channels, n, length):
        """An array of shape (channels, n, at least `length`) with finite numbers; the same one for the same shape."""
        if self._shape != (channels, n, length):
            lines = -(-length // LANES)
            lines += 1 - lines % 2
            size = channels * n * lines * LANES
            memory = np.zeros(size + LANES)
            start = -(memory.ctypes.data // memory.itemsize) % LANES
            self._array = memory[start : start + size].reshape(channels, n, -1)
            self._shape = channels, n, length
        return self._array


def plan(n):
    """Radices of a transform of n points and its twiddle factors e^(-2πi p k/length), as the loops read them."""
    radices, rest = [], n
    for radix in (4, 2, 3, 5, *range(7, n + 1, 2)):
        while rest % radix == 0:
            radices.append(radix)
            rest //= radix
    twiddles, length = [np.zeros(1)], n
    for radix in radices:
        twiddles.append(np.exp(-2j * np.pi / length * np.multiply.outer(np.arange(length // radix),
                                                                       np.arange(1, radix))).ravel())
        length //= radix
    twiddles = np.concatenate(twiddles[1:] or twiddles)
    return np.array(radices, dtype=np.int64), np.stack([twiddles.real, twiddles.imag], axis=1)


def _blocks(array):
    """(x, y, z) as (x, block of y, z, lane), padded with zeros."""
    n_x, n_y, n_z = array.shape
    padded = np.zeros((n_x, -(-n_y // LANES) * LANES, n_z))
    padded[:, :n_y] = array
    return np.ascontiguousarray(padded.reshape(n_x, -1, LANES, n_z).swapaxes(2, 3))
