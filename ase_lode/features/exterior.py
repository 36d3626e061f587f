"""The field of the sources outside an environment: what the density of that environment cannot see.

V_i,alm = Σ_j q_ja [1 - f_c(r_ij)] Y_lm(r̂_ij) / r_ij^(p+l), summed over all atoms and periodic images.
"""

import numpy as np

from ase_lode.features.density import Y00
from ase_lode.features.expansion import pair_jacobian, pair_rows
from ase_lode.features.reaches import cheapest
from ase_lode.features.sources import Sources
from ase_lode.features.split import smooth, switched
from ase_lode.features.split_field import SplitField
from ase_lode.field import DirectExterior, EwaldSum, background, reach
from ase_lode.neighbors import NeighborList

#: Rows of training neglect this much, well below the mesh's default tolerance, at this width of the split in Å, where
#: wave vectors and pairs of a hundred atoms cost about the same.
ROWS_TOLERANCE = 1e-7
ROWS_WIDTH = 1.5


class ExteriorField:
    """Field expansion with `near_field: exterior`.

    A small isolated system is summed directly; any other is split at the reach that is cheapest for it (`cheapest`).

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
    on_mesh = True

    def __init__(self, config, elements, tolerance):
        self.config = config
        self.elements = elements
        self._tolerance = tolerance
        self._shortest = SplitField(config, tolerance)
        self._splits = {1.0: self._shortest}
        self._direct = DirectExterior(config.exponent, config.max_angular, config.cutoff, config.cutoff_width)
        #: Step of the reach and shape of the mesh to keep, see `fitting`; None where they follow the structure.
        self.pin = None
        #: Shortest reach of the pairs in Å.
        self.reach = self._shortest.reach

    def own(self):
        """V of each element's atom alone in the world, at l = 0: none, since an atom is inside its own cutoff."""
        return np.zeros((len(self.elements), 1))

    def compute(self, system, species, neighbors, n_threads):
        """V, shape (atoms, (max_angular + 1)², channels), and what `pull_back` needs."""
        sources = Sources.of(self.config, self.elements, system, species)
        values, state = self.of_strengths(system, sources.strengths, neighbors, n_threads)
        return values, (*state, sources)

    def pull_back(self, system, state, d_values, gradient, virial, n_threads):
        """Add dE/dr to `gradient` and dE/dε to `virial`, given dE/dV."""
        self.pull_strengths(system, state[:2], d_values, gradient, virial, n_threads, need_strengths=False)

    def of_strengths(self, system, strengths, neighbors, n_threads):
        """V of strengths, (atoms, channels): shape (atoms, (max_angular + 1)², channels), and a state."""
        split = self.split(system)
        if split is None:
            values, state = self._direct.compute(system, strengths, n_threads)
            return values.transpose(0, 2, 1), (None, state)
        values, state = split.compute(system, strengths, neighbors, n_threads)
        return values, (split, state)

    def pull_strengths(self, system, state, d_values, gradient, virial, n_threads, need_strengths=True):
        """Add dE/dr and dE/dε, given dE/dV; return dE/d(strengths), shape (atoms, channels), None unless needed."""
        split, state = state
        if split is None:
            parts = self._direct.pull_back(state, np.ascontiguousarray(d_values.transpose(0, 2, 1)), n_threads)
        else:
            parts = split.pull_back(system, state, d_values, n_threads, need_strengths)
        gradient += parts[0]
        virial += parts[1]
        return parts[2]

    def split(self, system):
        """The split for a structure, None where it is summed directly: a function of the geometry, unless pinned."""
        if self.pin and system.pbc.any():
            step, shape = self.pin
        else:
            shortest = self._shortest
            step, shape = cheapest(system, shortest.reach, shortest.width, shortest.mesh.spacing), None
        if step is None:
            return None
        if step not in self._splits:
            self._splits[step] = SplitField(self.config, self._tolerance, step)
        split = self._splits[step]
        split.mesh.shape = shape
        return split

    def fitting(self, system):
        """What `pin` may be set to for a periodic structure: the step of its reach and the shape of its mesh."""
        split = self.split(system)
        step = next(step for step, one in self._splits.items() if one is split)
        return step, split.mesh.grid(system).shape

    def coarseness(self, system):
        """Spacing of the mesh along periodic directions in units of the right one; 0 without a mesh."""
        split = self.split(system)
        return split.mesh.coarseness(system) if split else 0.0

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
        split, state, sources = state
        strengths, exponent, cutoff = sources.strengths, self.config.exponent, self.config.cutoff
        if system.pbc.any():
            width = max(split.width, ROWS_WIDTH) if system.pbc.all() else split.width
            results = smooth_rows(split.mesh, width, state[0], system, strengths, forms, need_virial)
            distance = max(width * reach(ROWS_TOLERANCE, exponent, self.config.max_angular), cutoff)
            pairs = NeighborList(distance).pairs(system, distance)
        else:
            results = [(0.0, 0.0)] * len(forms)
            pairs = all_pairs(system)
        for number, form in enumerate(forms):
            values, slopes = switched(pairs.distances, exponent + form.l, cutoff, self.config.cutoff_width)
            if system.pbc.any():
                value, slope = smooth(pairs.distances, form.l, exponent, width)
                values, slopes = values - value, slopes - slope
            near = pair_jacobian(pairs, values[:, None, None], slopes[:, None, None], form.l)[:, :, form.block, 0]
            near = pair_rows(pairs, near, form, strengths)
            gradient, virial = (part + more for part, more in zip(results[number], near))
            if form.l == 0 and system.pbc.all():
                mean = Y00 * background(exponent, width, cutoff) / system.measure
                virial = virial - mean * np.multiply.outer(sources.total, form.weights.sum(axis=(1, 2)))[
                    :, :, None, None] * np.eye(3)
            results[number] = gradient, virial
        return results


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
