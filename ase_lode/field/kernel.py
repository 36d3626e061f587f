"""Kernels of the particle mesh: the transform of a power law on a grid, for each periodicity.

Periodicity is a property of the kernel. With all directions periodic it is v̂_p(k). Along a free direction the power law
is multiplied by a window that is 1 up to the extent of the atoms and 0 where their images begin, so that a finite box,
a little more than twice the extent, holds it exactly. The smeared power law is a superposition of Gaussians,

    v_p(r) = 2/Γ(p/2) ∫_0^X x^(p-1) e^(-x²r²) dx,      X = 1/(√2 s),

and each Gaussian factorises into directions: (π/x²)^(d/2) e^(-k²/4x²) over the d periodic ones, the numerical transform
of window times Gaussian along each free one. A quadrature over x sums the products.
"""

from dataclasses import dataclass
from math import ceil, gamma, log, log2, pi

import numpy as np

from ase_lode.field.power_law import PowerLaw

#: Gauss-Legendre points on each octave of x; ten give 1e-10.
POINTS_PER_OCTAVE = 10


@dataclass(frozen=True)
class Grid:
    """A periodic grid that holds a structure.

    Attributes
    ----------
    cell : array, shape (3, 3)
        Vectors of the box as rows in Å: the system's along periodic directions, normals of box length along free ones.
    shape : tuple of three int
        Grid points along the vectors.
    periodic : tuple of three bool
        Periodic directions.
    filled : tuple of three int
        Grid points along the vectors that atoms reach: all along periodic directions, the first ones along free ones.
    """

    cell: np.ndarray
    shape: tuple
    periodic: tuple
    filled: tuple

    @property
    def key(self):
        """What identifies this grid."""
        return self.cell.tobytes(), self.shape, self.periodic

    def frequencies(self):
        """Integer frequencies along each vector, the last one halved as in a real transform."""
        n_x, n_y, n_z = self.shape
        return [np.fft.fftfreq(n_x, 1 / n_x), np.fft.fftfreq(n_y, 1 / n_y), np.fft.rfftfreq(n_z, 1 / n_z)]

    def reciprocal(self):
        """Reciprocal vectors as rows in Å⁻¹, zero along free directions."""
        return np.where(np.array(self.periodic)[:, None], 2 * pi * np.linalg.inv(self.cell).T, 0.0)

    def squares(self):
        """Squared periodic part of every wave vector, broadcastable to the half grid, in Å⁻²."""
        vectors, total = self.reciprocal(), 0.0
        metric = vectors @ vectors.T
        axes = np.ix_(*self.frequencies())
        for c in np.flatnonzero(self.periodic):
            others = sum((2 * metric[c, d] * axes[d] for d in np.flatnonzero(self.periodic) if d < c
                          and metric[c, d] != 0), start=0.0)
            total = total + axes[c] * (metric[c, c] * axes[c] + others)
        return total


def mesh_kernel(grid, exponent, width, order):
    """What multiplies the transform of the spread strengths, and its derivative.

    Parameters
    ----------
    grid : Grid
    exponent : int
        p in 1/r^p.
    width : float
        Width s of the smearing in Å.
    order : int
        Even order of the B-splines whose smoothing is undone.

    Returns
    -------
    kernel, slope : array, shape (n_x, n_y, n_z//2 + 1)
        The kernel, scaled for SciPy's normalised inverse transform, and its derivative with respect to the square of
        the wave vector's periodic part.
    """
    value, slope = bulk(grid, exponent, width) if all(grid.periodic) else windowed(grid, exponent, width)
    scale = np.prod(grid.shape) / abs(np.linalg.det(grid.cell))
    factors = np.ix_(*(_sharpening(n, order)[:len(m)] for n, m in zip(grid.shape, grid.frequencies())))
    sharpen = (scale * factors[0] * factors[1]) * factors[2]
    value *= sharpen
    slope *= sharpen
    return value, slope


def bulk(grid, exponent, width):
    """Kernel with all directions periodic, and its derivative with respect to k²."""
    return PowerLaw(exponent, width).transform(grid.squares())


def windowed(grid, exponent, width):
    """Kernel with one to three free directions, and its derivative with respect to the periodic k².

    Where the sum over periodic images diverges (p not above their dimension d) the wave vector zero carries the finite
    part: -2π|z| for p = 1 in a slab, -2 ln ρ for p = 1 in a wire and -2π ln |z| for p = 2 in a slab, each divided by
    the cell's area or length. It is the right one for strengths that sum to zero.
    """
    n_periodic = sum(grid.periodic)
    x, weights = _quadrature(grid, width)
    coefficients = 2 / gamma(exponent / 2) * pi ** (n_periodic / 2) * weights * x ** (exponent - 1 - n_periodic)
    last = max(c for c in range(3) if not grid.periodic[c])
    window, gaussians, left = np.ones((1, 1, 1)), None, coefficients[:, None, None, None]
    for c in range(3):
        if not grid.periodic[c]:
            length = np.linalg.norm(grid.cell[c])
            lines, bare = _windowed_gaussians(x, length, grid.shape[c], width, half=c == 2)
            along = tuple(-1 if d == c else 1 for d in range(3))
            window = window * bare.reshape(along)
            if c == last:
                gaussians = lines
            else:
                left = left * lines.reshape((len(x), *along))
    if n_periodic:
        left = left * np.exp(-grid.squares() / (4 * x**2)[:, None, None, None])
    value = _contract(left, gaussians, last)
    slope = np.zeros_like(value)
    if n_periodic:
        slope = _contract(left * (-0.25 / x**2)[:, None, None, None], gaussians, last)
    if 0 < n_periodic and exponent <= n_periodic:
        zero = tuple(slice(0, 1) if periodic else slice(None) for periodic in grid.periodic)
        value[zero] -= (coefficients.sum() - _finite_part(exponent, n_periodic, width)) * window
    return value, slope


def _finite_part(exponent, n_periodic, width):
    """Finite part of 2/Γ(p/2) π^(d/2) ∫_0^X x^(p-1-d) dx, with the constant that makes a logarithm plain."""
    scale = 2 / gamma(exponent / 2) * pi ** (n_periodic / 2)
    end = 1 / (np.sqrt(2) * width)
    if exponent == n_periodic:
        return scale * (log(end) + np.euler_gamma / 2)
    return scale * end ** (exponent - n_periodic) / (exponent - n_periodic)


def _contract(left, right, axis):
    """Σ_n left[n, x, y, z] right[n, f] with f put in the place of `axis`, where left has length 1."""
    product = np.tensordot(np.squeeze(left, axis + 1), right, (0, 0))
    return np.ascontiguousarray(np.moveaxis(product, -1, axis))


def _quadrature(grid, width):
    """Points and weights in x on (0, X]: octaves down to where every Gaussian is flat and every e^(-k²/4x²) gone."""
    end = 1 / (np.sqrt(2) * width)
    lengths = np.linalg.norm(grid.cell, axis=1)
    periodic = np.array(grid.periodic)
    smallest = 0.5 / np.sqrt(np.sum(lengths[~periodic] ** 2))
    if periodic.any():
        # Lattice vectors of a skewed cell can be long while the shortest wave vector stays long too.
        vectors = grid.reciprocal()[periodic]
        shortest = min(np.linalg.norm(np.array(m[:len(vectors)]) @ vectors)
                       for m in ((1, 0), (0, 1), (1, 1), (1, -1)) if any(m[:len(vectors)]))
        smallest = min(smallest, shortest / 12)
    octaves = max(ceil(log2(end / smallest)), 1)
    edges = np.concatenate([[0.0], end * 2.0 ** np.arange(-octaves, 1)])
    points, weights = np.polynomial.legendre.leggauss(POINTS_PER_OCTAVE)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + points)).ravel(), (half * weights).ravel()


def _windowed_gaussians(x, length, n, width, half):
    """Transforms of window times Gaussian along a free direction, and of the window alone.

    The window ½ erfc((|z| - L/2)/√2 s) is as smooth as the smearing, so twice the grid's resolution is exact. It
    reaches beyond half the box: sampled on a box of twice the length, whose even frequencies are the wanted ones.
    """
    from scipy.special import erfc

    z = np.fft.fftfreq(4 * n) * 2 * length
    window = 0.5 * erfc((np.abs(z) - length / 2) / (np.sqrt(2) * width))
    samples = np.vstack([window * np.exp(-(x[:, None] * z) ** 2), window])
    spectrum = np.fft.rfft(samples, axis=1).real[:, ::2] * (length / (2 * n))
    frequencies = np.arange(n // 2 + 1) if half else np.abs(np.fft.fftfreq(n, 1 / n)).astype(int)
    return spectrum[:-1, frequencies], spectrum[-1, frequencies]


def _sharpening(n, order):
    """Factor that undoes spreading and reading along one direction, zero at the Nyquist frequency.

    With U the transform of the spline and sums over its aliases, U²/(ΣU²)² minimises the mean-square error of the
    field at a random point. The Nyquist frequency stands for two opposite wave vectors, which differ in a skewed cell:
    leaving it out keeps the kernel even.
    """
    phase = np.fft.fftfreq(n)
    aliases = phase[:, None] + np.arange(-6, 7)
    transforms = np.sinc(aliases) ** order
    result = np.sinc(phase) ** (2 * order) / np.sum(transforms**2, axis=1) ** 2
    if n % 2 == 0:
        result[n // 2] = 0.0
    return result
