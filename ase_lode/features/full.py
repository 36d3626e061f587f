"""The paper's field: the potential of all atoms, the centre included, projected on radial functions about every atom.

V_i,anlm = ∫ R_n(x) Y_lm(x̂) V_a(r_i + x) dx with V_a = Σ_j q_ja v_p(|r - r_j|) of Gaussian-smeared sources.
"""

from functools import cached_property

import numpy as np
from scipy.special import gamma, gammainc

from ase_lode.errors import StructureError
from ase_lode.features.density import Y00
from ase_lode.features.expansion import Form, NeighborExpansion, pair_rows
from ase_lode.features.exterior import smooth_rows
from ase_lode.features.sources import Sources
from ase_lode.features.split import FADE
from ase_lode.field import FullReciprocal, ParticleMesh, PowerLaw
from ase_lode.field import reach as reach_of
from ase_lode.neighbors import NeighborList
from ase_lode.radial import (
    RadialTable,
    bessel_transform,
    make_basis,
    moments,
    product,
    quadrature,
    shifted_cosine,
    shifted_cosine_slope,
    spherical_bessel,
)

#: Isolated systems up to this size are summed over their pairs: exact, and faster than a mesh.
DIRECT_BELOW = 2000
#: The smeared power law has no wave vectors beyond this over its width (exp(-x²/2) is at rounding).
LARGEST_WAVE = 8.5
#: Tables for all pairs of an isolated system end at a multiple of this length in Å, so that few are ever made.
EXTENT_STEP = 10.0
#: Largest extent in Å of an isolated system that is summed over its pairs: the time of a table grows with its square.
LARGEST_EXTENT = 100.0


class FullField:
    """Field expansion with `near_field: full`.

    An isolated system is summed over its pairs; for p = 1 a periodic or large one goes over the mesh and near pairs;
    for p > 1 a fully periodic one is summed over wave vectors.

    Parameters
    ----------
    config : FieldConfig
        With all defaults resolved.
    elements : list of str
        Chemical symbols in the order of the species index.
    tolerance : float
        Relative error of the field and its first derivatives.
    """

    def __init__(self, config, elements, tolerance):
        self.config = config
        self.elements = elements
        self.n_radial = config.max_radial
        self._projection = Projection(config)
        self._pairs = _PairSum(self._projection, elements)
        self._mesh = _MeshSum(self._projection, elements, tolerance) if config.exponent == 1 else None
        self._waves = _WaveSum(self._projection)
        self.reach = self._mesh.reach if self._mesh else config.cutoff

    def own(self):
        """V of each element's atom alone in the world, at l = 0, shape (elements, channels x radial functions)."""
        if self.config.sources == "charges":  # the even shift leaves a lone atom without charge
            return np.zeros((len(self.elements), self.n_radial))
        return np.kron(np.eye(len(self.elements)), self._projection.of_source(np.zeros(1))[0][0, 0] * Y00)

    def compute(self, system, species, neighbors, n_threads):
        """V, shape (atoms, (l_max + 1)², channels x radial functions), and what `pull_back` needs."""
        sources = Sources.of(self.config, self.elements, system, species)
        engine = self._engine(system)
        values, state = engine.compute(system, species, sources, neighbors, n_threads)
        return values.reshape(*values.shape[:2], -1), (engine, state, species, sources)

    def pull_back(self, system, state, d_values, gradient, virial, n_threads):
        """Add dE/dr to `gradient` and dE/dε to `virial`, given dE/dV."""
        engine, state, species, sources = state
        d_values = d_values.reshape(*d_values.shape[:2], -1, self.n_radial)
        engine.pull_back(system, species, sources, state, d_values, gradient, virial, n_threads)

    @property
    def on_mesh(self):
        """Whether there is a particle mesh, which `pin`, `fitting` and `coarseness` are about."""
        return self._mesh is not None

    @property
    def pin(self):
        """Step of the reach, which does not change here, and shape of the mesh to keep, or None."""
        shape = self._mesh.mesh.shape
        return None if shape is None else (1.0, shape)

    @pin.setter
    def pin(self, value):
        self._mesh.mesh.shape = value and value[1]

    def fitting(self, system):
        """What `pin` may be set to for a periodic structure."""
        return 1.0, self._mesh.mesh.grid(system).shape

    def coarseness(self, system):
        """Spacing of the mesh along periodic directions in units of the right one."""
        return self._mesh.mesh.coarseness(system)

    def rows(self, system, state, forms, need_virial):
        """Derivatives of linear forms of V, for training: see `ExteriorField.rows`; channels then radial functions."""
        engine, state, species, sources = state
        by_radial = [engine.rows(system, sources, state, forms, n, need_virial) for n in range(self.n_radial)]
        results = []
        for parts in zip(*by_radial):
            gradient, virial = (np.stack(part, axis=1) for part in zip(*parts))  # [a, n, r, ...]
            results.append((gradient.reshape(-1, *gradient.shape[2:]), virial.reshape(-1, *virial.shape[2:])))
        return results

    def _engine(self, system):
        small = _extent(system) <= LARGEST_EXTENT
        if not system.pbc.any() and small and (self._mesh is None or len(system) <= DIRECT_BELOW):
            return self._pairs
        if self._mesh is not None:
            return self._mesh
        if not system.pbc.any():
            raise StructureError(f"near_field: full with exponent {self.config.exponent} is for isolated systems up to "
                                 f"{LARGEST_EXTENT:g} Å; use exponent 1 or near_field: exterior.")
        if system.pbc.all():
            return self._waves
        raise StructureError(f"near_field: full with exponent {self.config.exponent} needs a fully periodic or an "
                             "isolated system; use exponent 1 or near_field: exterior.")


def _extent(system):
    """An upper bound of the distances in an isolated system."""
    return np.linalg.norm(np.ptp(system.positions, axis=0))


class Projection:
    """Projection of one smeared source at distance r on the radial functions of a sphere.

    H_nl(r) = (2/π) ∫ k² v̂_p(k) I_nl(k) j_l(kr) dk with I_nl(k) = ∫ x² R_n(x) j_l(kx) dx.
    """

    def __init__(self, config):
        self.config = config
        self.basis = make_basis(config.basis, config.cutoff, config.max_radial)
        self.law = PowerLaw(config.exponent, config.smearing)
        self.l_max = config.max_angular

    def waves(self, k):
        """I_nl(k) and its derivative, both (points, l, n)."""
        return bessel_transform(self.basis, self.l_max, k)

    def of_source(self, r):
        """H_nl(r) and its slope, both (points, l, n)."""
        largest = LARGEST_WAVE / self.config.smearing
        k, w = quadrature(largest, 5.0 / max(r.max(), self.basis.reach))
        weight = 2 / np.pi * w * k**2 * self.law.transform(k**2)[0]
        waves = weight[:, None, None] * self.waves(k)[0]
        values, slopes = spherical_bessel(self.l_max, np.multiply.outer(r, k))
        waves = waves.transpose(1, 0, 2)
        return (values @ waves).transpose(1, 0, 2), (slopes @ (k[:, None] * waves)).transpose(1, 0, 2)


class _NearSum:
    """Σ_j q_ja H_nl(r_ij) Y_lm(r̂_ij) over a pair list, the atom itself included, with H from a table."""

    def __init__(self, radial, l_max, n_radial, n_elements):
        self._expansion = NeighborExpansion(radial, l_max)
        self._own = radial.table[0, 0, 0, :n_radial] * Y00
        self._shape = ((l_max + 1) ** 2, n_elements, self._expansion.lanes)
        self._n = n_radial

    def compute(self, pairs, species, sources, n_threads):
        """Values, shape (atoms, lm, channels, n)."""
        near = np.zeros((len(species), *self._shape))
        self._expansion.add(pairs, species, near.reshape(len(near), len(near[0]), -1), n_threads)
        values = np.einsum("imen,ea->iman", near[..., : self._n], sources.mix)
        values[:, 0] += sources.strengths[:, :, None] * self._own
        return values

    def pull_back(self, pairs, species, sources, d_values, gradient, virial, n_threads):
        near = np.zeros((len(species), *self._shape))
        near[..., : self._n] = np.einsum("iman,ea->imen", d_values, sources.mix)
        pair_gradient = np.zeros((len(pairs.j), 3))
        self._expansion.pull_back(pairs, species, near.reshape(len(near), len(near[0]), -1), pair_gradient, n_threads)
        pairs.add_gradient(pair_gradient, gradient, virial)

    def rows(self, pairs, sources, forms, n):
        derivative = self._expansion.jacobian(pairs)[..., n]
        return [pair_rows(pairs, derivative[:, :, form.block], form, sources.strengths) for form in forms]


class _PairSum:
    """All pairs of an isolated system."""

    def __init__(self, projection, elements):
        self._projection = projection
        self._n_elements = len(elements)
        self._sums = {}

    def compute(self, system, species, sources, neighbors, n_threads):
        reach = EXTENT_STEP * (1 + _extent(system) // EXTENT_STEP)
        if reach not in self._sums:
            config = self._projection.config
            table = RadialTable(self._projection.of_source, reach)
            self._sums[reach] = _NearSum(table, config.max_angular, config.max_radial, self._n_elements)
        pairs = NeighborList(reach).pairs(system, reach, n_threads)
        return self._sums[reach].compute(pairs, species, sources, n_threads), (self._sums[reach], pairs)

    def pull_back(self, system, species, sources, state, d_values, gradient, virial, n_threads):
        near, pairs = state
        near.pull_back(pairs, species, sources, d_values, gradient, virial, n_threads)

    def rows(self, system, sources, state, forms, n, need_virial):
        near, pairs = state
        return near.rows(pairs, sources, forms, n)


class _MeshSum:
    """p = 1 on the mesh: a source outside the sphere makes a harmonic field inside it, whatever the radial function.

    V_i,anlm = 4π/(2l+1) M_nl Φ_i,alm + Σ_near q_ja ΔH_nl(r_ij) Y_lm - δ_l0 Σq/Ω 16π² Y_00 [M_n0 (s²-σ²)/2 - M4_n0/6],
    with Φ the field of Gaussians of width s, M_nl = ∫ x^(l+2) R_n dx and M4_n0 = ∫ x⁴ R_n dx. ΔH is what the mesh
    lacks near the sphere; the last term is the mean that k = 0 drops.
    """

    def __init__(self, projection, elements, tolerance):
        config = projection.config
        self._projection = projection
        self._n_elements = len(elements)
        l = np.arange(config.max_angular + 1)
        self._moments = 4 * np.pi / (2 * l[:, None] + 1) * moments(projection.basis, l + 2)
        self._moments_of_lm = np.repeat(self._moments, 2 * l + 1, axis=0)
        reach = reach_of(tolerance, 1, config.max_angular)
        if config.basis == "gto":
            self._width = np.hypot(config.smearing, projection.basis.widest)
            self.reach = (reach + 0.6) * self._width
        else:
            self.reach = config.cutoff + reach * config.smearing
            self._width = self.reach / reach
        self.mesh = ParticleMesh(1, config.max_angular, self._width, tolerance)

    @cached_property
    def _near(self):
        config = self._projection.config
        table = RadialTable(self._remainder, self.reach, [self.reach * (1 - FADE)])
        return _NearSum(table, config.max_angular, config.max_radial, self._n_elements)

    def compute(self, system, species, sources, neighbors, n_threads):
        smooth, state = self.mesh.compute(system, sources.strengths, n_threads)
        pairs = neighbors.pairs(system, self.reach, n_threads)
        values = self._near.compute(pairs, species, sources, n_threads)
        values += np.einsum("iam,mn->iman", smooth, self._moments_of_lm)
        values[:, 0] -= sources.total[:, None] * self._mean(system)
        return values, (state, pairs)

    def pull_back(self, system, species, sources, state, d_values, gradient, virial, n_threads):
        state, pairs = state
        d_smooth = np.ascontiguousarray(np.einsum("iman,mn->iam", d_values, self._moments_of_lm))
        d_positions, d_strain, _ = self.mesh.pull_back(state, d_smooth, n_threads)
        gradient += d_positions
        virial += d_strain
        self._near.pull_back(pairs, species, sources, d_values, gradient, virial, n_threads)
        virial += np.eye(3) * np.einsum("ian,a,n->", d_values[:, 0], sources.total, self._mean(system))

    def rows(self, system, sources, state, forms, n, need_virial):
        mesh_state, pairs = state
        scaled = [Form(form.centres, form.l, form.weights * self._moments[form.l, n]) for form in forms]
        smooth = smooth_rows(self.mesh, self._width, mesh_state, system, sources.strengths, scaled, need_virial)
        results = []
        for form, far, near in zip(forms, smooth, self._near.rows(pairs, sources, forms, n)):
            gradient, virial = far[0] + near[0], far[1] + near[1]
            if form.l == 0:
                mean = self._mean(system)[n] * np.multiply.outer(sources.total, form.weights.sum(axis=(1, 2)))
                virial = virial + mean[:, :, None, None] * np.eye(3)
            results.append((gradient, virial))
        return results

    def _mean(self, system):
        """What k = 0 leaves out at l = 0 per unit of strength, shape (n,); inverse in the volume."""
        if not system.pbc.all():
            return np.zeros(self._projection.config.max_radial)
        second, fourth = moments(self._projection.basis, [2, 4])
        spread = (self._width**2 - self._projection.config.smearing**2) / 2
        return 16 * np.pi**2 * Y00 / system.measure * (second * spread - fourth / 6)

    def _remainder(self, r):
        """ΔH_nl(r) = H_nl(r) - 4π/(2l+1) M_nl P(l+½, r²/2s²)/r^(l+1) and its slope, faded out at the reach."""
        values, slopes = self._projection.of_source(r)
        s = self._width
        safe = np.maximum(r, 1e-10 * s)
        x = safe**2 / (2 * s**2)
        for l, moment in enumerate(self._moments):
            part = gammainc(l + 0.5, x) / safe ** (l + 1)
            change = (x ** (l - 0.5) * np.exp(-x) / gamma(l + 0.5) * safe / s**2 / safe ** (l + 1)
                      - (l + 1) * part / safe)
            values[:, l] -= part[:, None] * moment
            slopes[:, l] -= change[:, None] * moment
        fade = self.reach, FADE * self.reach
        return product(values, slopes, shifted_cosine(r, *fade), shifted_cosine_slope(r, *fade))


class _WaveSum:
    """All wave vectors: V_i,anlm = (4π i^l/Ω) Σ_k v̂_p(k) I_nl(k) Y_lm(k̂) S_a(k)* e^(ik r_i), fully periodic."""

    def __init__(self, projection):
        config = projection.config
        self._sum = FullReciprocal(config.exponent, config.smearing, config.max_angular, config.max_radial,
                                   projection.waves)

    def compute(self, system, species, sources, neighbors, n_threads):
        values, state = self._sum.compute(system, sources.strengths, n_threads)
        return values.transpose(0, 3, 1, 2), state

    def pull_back(self, system, species, sources, state, d_values, gradient, virial, n_threads):
        d_values = np.ascontiguousarray(d_values.transpose(0, 2, 3, 1))
        d_positions, d_strain, _ = self._sum.pull_back(state, d_values, n_threads)
        gradient += d_positions
        virial += d_strain

    def rows(self, system, sources, state, forms, n, need_virial):
        first = n * (self._sum.max_angular + 1) ** 2
        waves = [(form.centres, first + form.block, form.weights) for form in forms]
        return self._sum.rows(system, sources.strengths, waves, need_virial)
