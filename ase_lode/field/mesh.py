"""The particle mesh: the smooth field of any number of sources in any periodicity, and its adjoint."""

from dataclasses import dataclass
from math import prod

import numpy as np

from ase_lode import memory, parallel
from ase_lode._loops import mesh as loops
from ase_lode._loops.compile import LANES
from ase_lode.errors import ConfigError, StructureError
from ase_lode.field import harmonics
from ase_lode.field.accuracy import DENSITY, choose
from ase_lode.field.fourier import Convolution, Planes
from ase_lode.field.kernel import Grid, mesh_kernel
from ase_lode.system import wire_twist

#: Edge, in grid points, of the blocks by which atoms are sorted.
BLOCK = 8

#: Grid points by which a box grows along a free direction, so that moving atoms seldom change it.
FREE_STEP = 8

#: Widths of the smearing in which the window of a free direction falls.
WINDOW = 6.0

#: Most grid points of a mesh, and what each atom adds; a point takes 20 to 35 bytes.
MOST_POINTS, MOST_PER_ATOM = 2 * 10**8, 10**4


@dataclass(frozen=True)
class _Operators:
    """What depends on the grid alone.

    `cartesian` takes derivatives along the grid to Cartesian ones up to degree max_angular + 1, `field` to Φ_lm, and
    `changes` to its gradient, row 3 lm + c.
    """

    key: tuple
    fourier: Convolution
    cartesian: np.ndarray
    field: np.ndarray
    changes: np.ndarray


@dataclass(frozen=True)
class _State:
    """What `pull_back` needs of `compute`; arrays over atoms in the order in which they were spread."""

    grid: Grid
    operators: _Operators
    positions: np.ndarray
    order: np.ndarray
    firsts: np.ndarray
    weights: np.ndarray
    strengths: np.ndarray
    spectra: np.ndarray
    derivatives: np.ndarray


class ParticleMesh:
    """Smooth field by B-splines and fast Fourier transforms.

    Φ_i,alm = 𝒴_lm(∇) φ_a(r_i)/(2^l (p/2)_l) with φ_a(r) = Σ_j q_ja v_p(|r - r_j|; s), the atom itself included; far
    away it is Σ_j q_ja Y_lm(r̂_ij)/r_ij^(p+l). Gradients are exact derivatives of this interpolated field.

    Parameters
    ----------
    exponent : int
        p in 1/r^p, from 1 to 6.
    max_angular : int
        Largest l.
    width : float
        Width s of the smearing in Å.
    tolerance : float
        Relative root-mean-square error of the field and its first derivatives.
    shape : tuple of three int, optional
        Grid points along the cell vectors, to keep the grid while the cell changes; by default a function of cell,
        extent and tolerance. Also an attribute that may be set.
    density : float
        Atoms per Å³ for which the tolerance holds; fewer atoms make smaller fields and the same error of their own.

    Notes
    -----
    With three periodic directions and p ≤ 3 the mean is dropped (see `background`). Along free directions the extent
    of the atoms enters the box in coarse steps only.
    """

    def __init__(self, exponent, max_angular, width, tolerance=1e-5, shape=None, density=DENSITY):
        if exponent not in range(1, 7):
            raise ConfigError(f"Exponent {exponent} is not supported by the particle mesh; choose one from 1 to 6.")
        self.exponent, self.max_angular, self.width, self.tolerance = exponent, max_angular, width, tolerance
        self.shape = shape
        self._reach, spacing, self.order = choose(tolerance, exponent, max_angular, width, density)
        self.spacing = spacing * width
        factors = harmonics.hobson(exponent, max_angular)[:, None]
        self._harmonics = harmonics.solid_harmonics(max_angular) / factors  # [lm, monomial]
        self._exchanged = np.einsum("fm,mabn->bafn", self._harmonics, harmonics.exchanged(max_angular)).reshape(9, -1)
        self._pieces = spline_pieces(self.order, max_angular + 2)
        self._operators, self._planes = None, Planes()

    def grid(self, system):
        """The grid for a structure.

        Parameters
        ----------
        system : System

        Returns
        -------
        Grid

        Raises
        ------
        StructureError
            A shape was given and the atoms have left its box along a free direction, or the mesh would be too large.
        """
        periodic, cell = tuple(bool(p) for p in system.pbc), system.cell.copy()
        lengths = np.linalg.norm(cell, axis=1)
        lengths[~system.pbc] = box_lengths(system.extents, self.width, self._reach)
        spacings, shape = self._spacings(cell), []
        for c in range(3):
            points = max(int(np.ceil(lengths[c] / spacings[c])), self.order)
            n = fft_size(points, 2 if periodic[c] else FREE_STEP) if self.shape is None else int(self.shape[c])
            if not periodic[c]:
                if n < points:
                    raise StructureError("The atoms have left the mesh along a non-periodic direction; give a larger "
                                         "mesh shape or none.")
                cell[c] *= n * self.spacing
            shape.append(n)
        if prod(shape) > MOST_POINTS + MOST_PER_ATOM * len(system):
            raise StructureError(f"The particle mesh would need {' x '.join(map(str, shape))} points; set atoms.pbc = "
                                 "False along directions of vacuum, remove atoms that have left along free ones, take "
                                 "shorter vectors for a skewed cell (ase.build.niggli_reduce), or choose a larger "
                                 "tolerance.")
        return Grid(cell, tuple(shape), periodic, self._filled(shape, periodic))

    def _spacings(self, cell):
        """Spacing along each cell vector that meets the tolerance, shape (3,).

        The first alias of a wave along a vector is 2π/h over the cosine between the vector and the normal of the other
        two. Its gradient grows with the power l + 1 of that and errors fall with h^(P - l - 1). The estimate of errors
        has room for twice as much.
        """
        skew = np.linalg.norm(cell, axis=1) * np.linalg.norm(np.linalg.inv(cell), axis=0)
        power = self.max_angular + 1
        return self.spacing / np.maximum(skew**power / 2, 1.0) ** (1 / (self.order - power))

    def _filled(self, shape, periodic):
        """Grid points that atoms reach; along a free direction those of its extent, from the first one on."""
        reached = [n / 2 - max(self._reach, WINDOW) * self.width / self.spacing + 1 + self.order for n in shape]
        return tuple(n if whole else min(n, LANES * int(np.ceil(m / LANES)))
                     for n, m, whole in zip(shape, reached, periodic))

    def coarseness(self, system):
        """Largest spacing along a periodic direction in units of the one that meets the tolerance."""
        spacings = np.linalg.norm(system.cell, axis=1) / np.array(self.grid(system).shape)
        return max((spacings / self._spacings(system.cell))[system.pbc], default=0.0)

    def compute(self, system, strengths, n_threads):
        """Field at every atom.

        Parameters
        ----------
        system : System
        strengths : array, shape (atoms, channels)
        n_threads : int

        Returns
        -------
        phi : array, shape (atoms, channels, (max_angular+1)²)
            In Å^-(p+l) per unit of strength.
        state
            What `pull_back` needs.
        """
        grid = self.grid(system)
        operators = self._operators_of(grid)
        order, firsts, weights = self._stencils(grid, system.positions, n_threads)
        strengths = np.ascontiguousarray(strengths[order], dtype=float)
        grids = self._spread(grid, firsts, weights, strengths[:, :, None], 0, n_threads)
        spectra = operators.fourier.convolve(grids, n_threads)
        # One order more than the field needs, for the forces on the centres: cheaper than reading twice.
        derivatives = self._read(grid, firsts, weights, grids, self.max_angular + 1, n_threads)
        phi = memory.empty((len(order), strengths.shape[1], len(self._harmonics)))
        phi[order] = _apply(operators.field, derivatives, n_threads)
        return phi, _State(grid, operators, system.positions, order, firsts, weights, strengths, spectra, derivatives)

    def pull_back(self, state, d_phi, n_threads, need_virial=True):
        """Pull dE/dΦ back to positions, strain and strengths.

        Parameters
        ----------
        state
            Second result of `compute`.
        d_phi : array, shape (atoms, channels, (max_angular+1)²)
        n_threads : int
        need_virial : bool

        Returns
        -------
        gradient : array, shape (atoms, 3)
        virial : array, shape (3, 3), or None
            Σ r ⊗ dE/dr, element [a, b] the derivative for r_b → r_b + ε r_a.
        d_strengths : array, shape (atoms, channels)
        """
        operators, grid = state.operators, state.grid
        d_phi = d_phi[state.order]
        size = self._harmonics.shape[1]
        sources = _apply(operators.field[:, :size].T, d_phi, n_threads)
        grids = self._spread(grid, state.firsts, state.weights, sources, self.max_angular, n_threads)
        moments = operators.fourier.convolve(grids, n_threads, state.spectra)
        at_sources = self._read(grid, state.firsts, state.weights, grids, 1, n_threads)
        d_strengths, gradient = np.empty_like(state.strengths), np.empty((len(state.order), 3))
        d_strengths[state.order] = at_sources[:, :, 0]
        forces = np.einsum("ia,iac->ic", state.strengths, at_sources[:, :, 1:]) @ operators.cartesian[1:4, 1:4].T
        changes = _apply(operators.changes, state.derivatives, n_threads).reshape(*d_phi.shape, 3)
        gradient[state.order] = forces + np.einsum("iaf,iafc->ic", d_phi, changes)
        if not need_virial:
            return gradient, None, d_strengths
        overlap = np.einsum("iaf,iam->fm", d_phi, state.derivatives[:, :, :size]) @ operators.cartesian[:size, :size].T
        return gradient, self._virial(state, overlap, -2 * moments, gradient), d_strengths

    def _virial(self, state, overlap, moments, gradient):
        """Σ r ⊗ dE/dr from the strain of the box at fixed fractional coordinates.

        Under a strain of the periodic vectors the box of a partly periodic system keeps its lengths along the free
        directions, which turn to stay normal. With P and N the projectors on periodic and free directions and T the
        derivative at fixed fractional coordinates, dE/dε = T P - N Tᵀ P + G N + N Gᵀ P, G = Σ dE/dr ⊗ r; for a fully
        periodic system it is T. A wire's box may turn about the wire too, which changes E by (T - G) : [u]× dθ, u the
        wire's direction: nothing but the error of the interpolation.
        """
        # The kernel strains with k and the volume, 𝒴_lm(∇) with ∂_a → ∂_a - ε_ba ∂_b.
        exchange = (self._exchanged @ overlap.ravel()).reshape(3, 3)
        basis = state.grid.cell[list(state.grid.periodic)]
        along = np.eye(3) if len(basis) == 3 else np.linalg.pinv(basis) @ basis if len(basis) else np.zeros((3, 3))
        strain = -np.sum(self._harmonics * overlap) * along + moments - exchange
        if len(basis) == 3:
            return strain.T
        free = np.eye(3) - along
        heights = gradient.T @ (state.positions @ free)
        total = strain @ along - free @ strain.T @ along + heights + free @ heights.T @ along
        if len(basis) == 1:
            wire, twist = wire_twist(basis)
            turn = np.cross(wire, np.eye(3)).T  # [u]×
            total += np.sum((strain - gradient.T @ state.positions) * turn) * twist
        return total.T

    def _operators_of(self, grid):
        """Operators of a grid; those of the latest grid are kept."""
        operators = self._operators
        if operators is None or operators.key != grid.key:
            # With the axes in reverse order the halved one is x.
            mirror = Grid(grid.cell[::-1], grid.shape[::-1], grid.periodic[::-1], grid.filled[::-1])
            kernel, slope = (part.T for part in mesh_kernel(mirror, self.exponent, self.width, self.order))
            jacobian = np.linalg.inv(grid.cell) * np.array(grid.shape)
            cartesian = harmonics.substitution(jacobian, self.max_angular + 1)
            field = self._harmonics @ cartesian[:self._harmonics.shape[1]]
            raised = harmonics.raised(self.max_angular)  # [monomial, c]
            changes = np.einsum("fm,mcn->fcn", self._harmonics, cartesian[raised]).reshape(-1, len(cartesian))
            fourier = Convolution(grid, kernel, slope, self._row(grid))
            operators = self._operators = _Operators(grid.key, fourier, cartesian, field, changes)
        return operators

    def _stencils(self, grid, positions, n_threads):
        """Splines around the atoms, sorted by blocks of the grid so that neighbours in space share the cache."""
        shape, periodic = np.array(grid.filled), np.array(grid.periodic)
        fractional = positions @ np.linalg.inv(grid.cell)
        coordinates = (fractional - np.where(periodic, np.floor(fractional), 0.0)) * grid.shape
        # Whole grid points from the place of the first stencil, so that the grid stays where it is in space.
        start = np.floor(coordinates.min(axis=0)) - self.order // 2 + 1
        coordinates -= np.where(periodic, 0.0, start)
        blocks = coordinates.astype(np.int64) // BLOCK
        order = np.argsort((blocks[:, 0] * shape[1] + blocks[:, 1]) * shape[2] + blocks[:, 2], kind="stable")
        firsts = memory.empty((len(order), 3), np.int64)
        weights = memory.empty((len(order), 3, len(self._pieces), self._pieces.shape[2]))
        parallel.run(loops.splines, len(order), n_threads, coordinates[order], shape, self.order, self._pieces, firsts,
                     weights)
        return order, firsts, weights

    def _spread(self, grid, firsts, weights, sources, degree, n_threads):
        """Grids onto which splines and their derivatives up to a degree are spread."""
        (n_x, n_y, _), row = grid.filled, self._row(grid)
        grids = self._planes.get(sources.shape[1], n_x, n_y * row)
        parallel.run(loops.spread, n_x * n_y, n_threads, firsts, weights, self.order, sources,
                     harmonics.monomials(degree), grid.filled, row, self._vectors, (0,) * (degree + 1), grids)
        return grids

    def _read(self, grid, firsts, weights, grids, degree, n_threads):
        """Derivatives of the grids along them up to a degree, shape (atoms, channels, monomials)."""
        powers, row, shape = harmonics.monomials(degree), self._row(grid), grid.filled
        out = memory.empty((len(firsts), len(grids), len(powers)))
        parallel.run(loops.repeat_margin, shape[0] * shape[1], n_threads, grids, shape, row)
        parallel.run(loops.read, len(firsts), n_threads, firsts, weights, self.order, grids, powers, shape, row,
                     self._vectors, (0,) * (degree + 1), out)
        return out

    def _row(self, grid):
        """Numbers from one row of the grids to the next: its points and a margin as long as a stencil, in whole lanes.
        """
        return -(-grid.filled[2] // LANES) * LANES + self._pieces.shape[2]

    @property
    def _vectors(self):
        return (0,) * (self._pieces.shape[2] // LANES)


def spline_pieces(order, derivatives):
    """Polynomials of the B-spline of an order at the grid points it covers.

    Returns
    -------
    array, shape (derivatives, order, padded order)
        Of each derivative, at least `derivatives` and an even number of them: coefficients of (t - 1/2)^n at the point
        j, with t from 0 to 1 the coordinate past the point order/2 - 1. Points are padded with zeros to whole lanes.
    """
    pieces = np.zeros((derivatives + derivatives % 2, order, -(-order // LANES) * LANES))
    line = np.eye(1, order)  # [j, n]
    for k in range(2, order + 1):
        j = np.arange(k)[:, None]
        left, right = np.zeros((k, order)), np.zeros((k, order))
        left[1:], right[:-1] = line, line
        # ((t + k - 1 - j) M_(k-1)(j-1) + (1 - t + j) M_(k-1)(j))/(k - 1), de Boor's recursion
        line = (k - 0.5 - j) * left + (0.5 + j) * right
        line[:, 1:] += left[:, :-1] - right[:, :-1]
        line /= k - 1
    for d in range(len(pieces)):
        pieces[d, :, :order] = line.T
        line = np.hstack([line[:, 1:] * np.arange(1, order), np.zeros((order, 1))])
    return pieces


def box_lengths(extents, width, reach=WINDOW):
    """Lengths of the box along free directions: twice the extents and what the window takes, `reach` in widths."""
    return 2 * (extents + max(reach, WINDOW) * width)


def fft_size(n, step):
    """Smallest multiple of `step` ≥ n that transforms fast if `step` does: 2^a 3^b 5^c."""
    from scipy.fft import next_fast_len

    return step * next_fast_len(-(-n // step), real=True)


def _apply(matrix, array, n_threads):
    """The matrix on the last axis of an array over atoms and channels."""
    out = memory.empty((*array.shape[:2], len(matrix)))
    parallel.run(loops.transform, len(array), n_threads, array, np.ascontiguousarray(matrix), out)
    return out
