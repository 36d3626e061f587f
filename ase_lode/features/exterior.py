"""The field of the sources outside an environment: what the density of that environment cannot see.

V_i,alm = Σ_j q_ja [1 - f_c(r_ij)] Y_lm(r̂_ij) / r_ij^(p+l), summed over all atoms and periodic images.
"""

from functools import cached_property

import numpy as np
from scipy.special import gamma

from ase_lode import memory
from ase_lode.features.density import Y00
from ase_lode.features.expansion import NearField, pair_jacobian, pair_rows
from ase_lode.features.sources import Sources
from ase_lode.features.split import FADE, smooth, split, switched, tail
from ase_lode.field import DirectExterior, EwaldSum, ParticleMesh, background, reach
from ase_lode.neighbors import NeighborList
from ase_lode.radial import RadialTable

#: Isolated systems up to this size are summed directly: exact, and faster than a mesh.
DIRECT_BELOW = 2000
#: Least range in Å of the remainder over pairs: a shorter one would take a finer mesh, which costs more than pairs.
REACH = 5.0
#: Rows of training neglect this much, well below the mesh's default tolerance, at this width of the split in Å, where
#: wave vectors and pairs of a hundred atoms cost about the same.
ROWS_TOLERANCE = 1e-7
ROWS_WIDTH = 1.5


class ExteriorField:
    """Field expansion with `near_field: exterior`.

    A periodic or large system is split as in Ewald summation: the field of Gaussians of width s on a mesh, and a
    remainder over the pairs inside a reach; s is so small that the remainder ends there (see `split`).

    Parameters
    ----------
    config : FieldConfig
        With all defaults resolved.
    elements : list of str
        Chemical symbols in the order of the species index.
    tolerance : float
        Relative root-mean-square error of the field and its first derivatives.
    """

    n_radial = 1

    def __init__(self, config, elements, tolerance):
        self.config = config
        self.elements = elements
        self.cutoff = config.cutoff
        self.reach = self.cutoff * max(1.0, np.ceil(8 * REACH / self.cutoff) / 8)  # kinks on nodes of the table
        self._width, mesh_tolerance = split(tolerance, config.exponent, config.max_angular, config.cutoff,
                                            config.cutoff_width, self.reach)
        self.mesh = ParticleMesh(config.exponent, config.max_angular, self._width, mesh_tolerance)
        self._direct = DirectExterior(config.exponent, config.max_angular, config.cutoff, config.cutoff_width)

    @cached_property
    def _remainder(self):
        kinks = [self.cutoff - self.config.cutoff_width, self.cutoff, self.reach * (1 - FADE)]
        return NearField(RadialTable(self._radial, self.reach, kinks), self.config.max_angular)

    def own(self):
        """V of each element's atom alone in the world, at l = 0: none, since an atom is inside its own cutoff."""
        return np.zeros((len(self.elements), 1))

    def compute(self, system, species, neighbors, n_threads):
        """V, shape (atoms, (max_angular + 1)², channels), and what `pull_back` needs."""
        sources = Sources.of(self.config, self.elements, system, species)
        if not system.pbc.any() and len(system) <= DIRECT_BELOW:
            values, state = self._direct.compute(system, sources.strengths, n_threads)
            return values.transpose(0, 2, 1), (state, None, species, sources)
        far, state = self.mesh.compute(system, sources.strengths, n_threads)
        pairs = neighbors.pairs(system, self.reach, n_threads)
        values = np.ascontiguousarray(far.transpose(0, 2, 1))
        self._remainder.add(pairs, sources.strengths, values, n_threads)
        values[:, 0] += Y00 * (self._background(system) * sources.total - self._self_field() * sources.strengths)
        return values, (state, pairs, species, sources)

    def pull_back(self, system, state, d_values, gradient, virial, n_threads):
        """Add dE/dr to `gradient` and dE/dε to `virial`, given dE/dV."""
        state, pairs, species, sources = state
        engine = self._direct if pairs is None else self.mesh
        d_smooth = np.ascontiguousarray(d_values.transpose(0, 2, 1))
        d_positions, d_strain, _ = engine.pull_back(state, d_smooth, n_threads)
        gradient += d_positions
        virial += d_strain
        if pairs is None:
            return
        pair_gradient = memory.zeros((len(pairs.j), 3))
        self._remainder.pull_back(pairs, sources.strengths, np.ascontiguousarray(d_values), pair_gradient, n_threads)
        pairs.add_gradient(pair_gradient, gradient, virial)
        mean = Y00 * self._background(system) * (d_values[:, 0].sum(axis=0) @ sources.total)
        virial -= mean * np.eye(3)  # the background is inverse in the volume

    def rows(self, system, state, forms, need_virial):
        """Derivatives of linear forms of V, for training.

        A fully periodic system is split at a larger width than on the mesh, which suits sums over wave vectors.

        Parameters
        ----------
        forms : list of Form
        need_virial : bool

        Returns
        -------
        list of (gradient, virial)
            Shapes (channels, rows, atoms, 3) and (channels, rows, 3, 3).
        """
        mesh_state, pairs, species, sources = state
        strengths, exponent = sources.strengths, self.config.exponent
        width = max(self._width, ROWS_WIDTH) if system.pbc.all() else self._width
        if system.pbc.any():
            results = smooth_rows(self.mesh, width, mesh_state, system, strengths, forms, need_virial)
            distance = width * reach(ROWS_TOLERANCE, exponent, self.config.max_angular)
            pairs = NeighborList(max(distance, self.cutoff)).pairs(system, max(distance, self.cutoff))
        else:
            results = [(0.0, 0.0)] * len(forms)
            pairs = all_pairs(system)
        for number, form in enumerate(forms):
            values, slopes = switched(pairs.distances, exponent + form.l, self.cutoff, self.config.cutoff_width)
            if system.pbc.any():
                value, slope = smooth(pairs.distances, form.l, exponent, width)
                values, slopes = values - value, slopes - slope
            near = pair_jacobian(pairs, values[:, None, None], slopes[:, None, None], form.l)[:, :, form.block, 0]
            near = pair_rows(pairs, near, form, strengths)
            gradient, virial = (part + more for part, more in zip(results[number], near))
            if form.l == 0 and system.pbc.all():
                mean = Y00 * background(exponent, width, self.cutoff) / system.measure
                virial = virial - mean * np.multiply.outer(sources.total, form.weights.sum(axis=(1, 2)))[
                    :, :, None, None] * np.eye(3)
            results[number] = gradient, virial
        return results

    def _background(self, system):
        """The mean that a fully periodic sum without k = 0 leaves out, per unit of strength, in Å^-p."""
        if not system.pbc.all():
            return 0.0
        return background(self.config.exponent, self._width, self.cutoff) / system.measure

    def _self_field(self):
        """v_p(0; s), the smooth field of an atom at its own place."""
        half = self.config.exponent / 2
        return (2 * self._width**2) ** -half / gamma(half + 1)

    def _radial(self, r):
        """Values and slopes of the remainder, (points, 1, l)."""
        safe = np.maximum(r, 1e-10 * self._width)
        parts = [self._remainder_of(safe, l) for l in range(self.config.max_angular + 1)]
        values, slopes = (np.stack(part, axis=1)[:, None] for part in zip(*parts))
        return values, slopes

    def _remainder_of(self, r, l):
        exponent = self.config.exponent
        whole = switched(r, exponent + l, self.cutoff, self.config.cutoff_width)
        return [total - part - rest for total, part, rest in zip(
            whole, smooth(r, l, exponent, self._width), tail(r, l, exponent, self._width, self.reach))]


def all_pairs(system):
    """Every pair of an isolated system."""
    extent = 1.0 + np.linalg.norm(np.ptp(system.positions, axis=0))
    return NeighborList(extent).pairs(system, extent)


def smooth_rows(mesh, width, state, system, strengths, forms, need_virial):
    """Derivatives of linear forms of a smooth field: over wave vectors where the system is fully periodic.

    Elsewhere one reverse pass of the mesh serves one form, and `width` must be the mesh's. Results as in
    `EwaldSum.rows`.
    """
    if system.pbc.all():
        ewald = EwaldSum(mesh.exponent, mesh.max_angular, width, ROWS_TOLERANCE)
        return ewald.rows(system, strengths, [(f.centres, f.block, f.weights) for f in forms], need_virial)
    n_atoms, n_channels = strengths.shape
    results = []
    for form in forms:
        n_rows = len(form.weights)
        gradient, virial = np.empty((n_channels, n_rows, n_atoms, 3)), np.empty((n_channels, n_rows, 3, 3))
        for a in range(n_channels):
            for r in range(n_rows):
                d_phi = np.zeros((n_atoms, n_channels, (mesh.max_angular + 1) ** 2))
                d_phi[form.centres[:, None], a, form.block] = form.weights[r]
                gradient[a, r], virial[a, r], _ = mesh.pull_back(state, d_phi, 1)
        results.append((gradient, virial))
    return results
