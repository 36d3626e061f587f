"""Direct sums over wave vectors for fully periodic systems: the smooth field and the paper's expansion of it."""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from ase_lode import parallel
from ase_lode._loops import ewald as loops
from ase_lode.errors import StructureError
from ase_lode.field import harmonics
from ase_lode.field.power_law import PowerLaw

#: Wave vectors taken at a time by `rows`, so that memory stays small.
CHUNK = 1024


@dataclass(frozen=True)
class _State:
    """What `pull_back` needs of `compute`."""

    powers: np.ndarray
    frequencies: np.ndarray
    vectors: np.ndarray
    strengths: np.ndarray
    sums: np.ndarray
    coefficients: np.ndarray
    slopes: np.ndarray


class _ReciprocalSum:
    """What the two sums share: V_i,a,f = Σ_k C_f(k) i^l e^(ik·r_i) Σ_j q_ja e^(-ik·r_j).

    A subclass gives the real coefficients C_f(k) for half of the wave vectors, their gradients with respect to k, and
    the l of each feature f.
    """

    def __init__(self, exponent, width, k_cutoff, feature_degrees):
        self.exponent, self.width, self.k_cutoff = exponent, width, k_cutoff
        self._degrees = feature_degrees
        self._signs = np.array([1.0, -1.0, -1.0, 1.0])[feature_degrees % 4]

    def _expand(self, system, strengths, n_threads):
        """Features (atoms, channels, f) and the state."""
        if not system.pbc.all():
            raise StructureError("A sum over wave vectors is for systems periodic in all three directions; use the "
                                 "particle mesh or a direct sum otherwise.")
        frequencies = half_space(system.cell, self.k_cutoff)
        vectors = 2 * pi * frequencies @ np.linalg.inv(system.cell).T
        values, slopes = self._coefficients(vectors)  # [k, f], [k, f, c]
        # Each wave vector but zero also stands for its opposite.
        scale = (np.where(frequencies.any(axis=1), 2.0, 1.0) / system.measure)[:, None] * self._signs
        values, slopes = values * scale, slopes * scale[:, :, None]
        even = self._degrees % 2 == 0
        coefficients = np.stack([np.where(even, values, 0.0), np.where(even, 0.0, values)])
        fractional = system.positions @ np.linalg.inv(system.cell)
        orders = np.arange(-np.abs(frequencies).max(initial=0), np.abs(frequencies).max(initial=0) + 1)
        powers = np.exp(2j * pi * (fractional - np.floor(fractional))[:, :, None] * orders)
        strengths = np.ascontiguousarray(strengths, dtype=float)
        sums = np.empty((len(frequencies), strengths.shape[1]), dtype=complex)
        parallel.run(loops.structure, len(frequencies), n_threads, powers, frequencies, strengths, sums)
        out = np.empty((len(system), strengths.shape[1], len(even)))
        parallel.run(loops.fields, len(system), n_threads, powers, frequencies, sums, *coefficients, out)
        return out, _State(powers, frequencies, vectors, strengths, sums, coefficients, slopes)

    def rows(self, system, strengths, forms, need_virial):
        """Derivatives of many linear forms of the expansion, for training: matrix products over wave vectors.

        Parameters
        ----------
        system : System
        strengths : array, shape (atoms, channels)
        forms : list of (centres, features, weights)
            Row r of one entry is the form Σ_i Σ_f weights[r, i, f] V_i,a,f over its centres and features, for every
            channel a; weights has the shape (rows, len(centres), len(features)).
        need_virial : bool

        Returns
        -------
        list of (gradient, virial)
            Shapes (channels, rows, atoms, 3) and (channels, rows, 3, 3); zeros for a virial that is not needed.
        """
        frequencies = half_space(system.cell, self.k_cutoff)
        everything = 2 * pi * frequencies @ np.linalg.inv(system.cell).T
        n_atoms, n_channels = strengths.shape
        results = [(np.zeros((n_channels, len(weights), n_atoms, 3)), np.zeros((n_channels, len(weights), 3, 3)))
                   for _, _, weights in forms]
        for start in range(0, len(everything), CHUNK):
            k = everything[start : start + CHUNK]
            values, slopes = self._coefficients(k)
            scale = (1j**self._degrees * np.where(k.any(axis=1), 2.0, 1.0)[:, None] / system.measure).T  # [f, k]
            values, slopes = scale * values.T, scale * slopes.transpose(2, 1, 0)  # [f, k], [c, f, k]
            phases = np.exp(1j * system.positions @ k.T)  # [i, k]
            sums = strengths.T @ phases.conj()  # [a, k]
            for (centres, features, weights), (gradient, virial) in zip(forms, results):
                waves = [part @ phases[centres] for part in weights.transpose(2, 0, 1).astype(complex)]  # f of [r, k]
                moments = sum(wave * value for wave, value in zip(waves, values[features]))
                for c in range(3):
                    source = ((moments * k[:, c]) @ phases.conj().T).imag  # [r, j]
                    gradient[:, :, :, c] += strengths.T[:, None, :] * source
                for a in range(n_channels):
                    for f, value in enumerate(values[features]):
                        own = ((phases[centres] * (sums[a] * value)) @ k).imag  # [i, c]
                        gradient[a][:, centres] -= weights[:, :, f, None] * own
                if need_virial:
                    energy = (moments @ sums.T).real  # [r, a]
                    virial -= energy.T[:, :, None, None] * np.eye(3)
                    for c in range(3):
                        changed = sum(wave * slope for wave, slope in zip(waves, slopes[c][features]))
                        for a in range(n_channels):
                            virial[a, :, c] -= ((changed * sums[a]) @ k).real
        return results

    def _contract(self, state, weights, n_threads, need_virial):
        """Gradient, virial and strengths' gradient from dE/d(features) (atoms, channels, f)."""
        weights = np.ascontiguousarray(weights, dtype=float)
        adjoints, d_coefficients = np.empty_like(state.sums), np.empty_like(state.coefficients)
        parallel.run(loops.adjoint_sums, len(state.frequencies), n_threads, state.powers, state.frequencies, state.sums,
                     *state.coefficients, weights, adjoints, d_coefficients)
        gradient, d_strengths = np.empty((len(weights), 3)), np.empty_like(state.strengths)
        parallel.run(loops.adjoint, len(weights), n_threads, state.powers, state.frequencies, state.vectors, state.sums,
                     adjoints, *state.coefficients, weights, state.strengths, gradient, d_strengths)
        if not need_virial:
            return gradient, None, d_strengths
        # Phases do not change under strain; k → k - εᵀk and the volume do.
        energy = np.sum(state.coefficients * d_coefficients)
        by_feature = np.where(self._degrees % 2 == 0, d_coefficients[0], d_coefficients[1])
        by_vector = np.einsum("kf,kfc->kc", by_feature, state.slopes)
        return gradient, -energy * np.eye(3) - by_vector.T @ state.vectors, d_strengths


class EwaldSum(_ReciprocalSum):
    """The field of `ParticleMesh` for fully periodic systems, summed over wave vectors: slow and exact.

    Parameters
    ----------
    exponent : int
        p in 1/r^p, from 1 to 6.
    max_angular : int
        Largest l.
    width : float
        Width s of the smearing in Å.
    tolerance : float
        Size of the neglected waves relative to the kept ones.
    """

    def __init__(self, exponent, max_angular, width, tolerance=1e-12):
        from scipy.special import gammainccinv

        self.max_angular, self.tolerance = max_angular, tolerance
        # Derivatives of order l + 1 of waves e^(-s²k²/2) in three dimensions.
        k_cutoff = sqrt(2 * gammainccinv(max_angular / 2 + 2, tolerance)) / width
        super().__init__(exponent, width, k_cutoff, harmonics.degrees(max_angular))

    def compute(self, system, strengths, n_threads):
        """Field at every atom: see `ParticleMesh.compute`."""
        return self._expand(system, strengths, n_threads)

    def pull_back(self, state, d_phi, n_threads, need_virial=True):
        """Pull dE/dΦ back to positions, strain and strengths: see `ParticleMesh.pull_back`."""
        return self._contract(state, d_phi, n_threads, need_virial)

    def _coefficients(self, vectors):
        value, slope = PowerLaw(self.exponent, self.width).transform(np.sum(vectors**2, axis=1))
        angular, gradients = harmonics.evaluate(self.max_angular, vectors)
        factors = harmonics.hobson(self.exponent, self.max_angular)
        values = value[:, None] * angular / factors
        slopes = (2 * (slope[:, None] * angular)[:, :, None] * vectors[:, None, :]
                  + value[:, None, None] * gradients) / factors[:, None]
        return values, slopes


class FullReciprocal(_ReciprocalSum):
    """The paper's expansion of the field of all atoms inside a sphere, by its definition in reciprocal space.

    V_i,anlm = (4π i^l/Ω) Σ_k v̂_p(k) I_nl(k) Y_lm(k̂) Σ_j q_ja e^{ik·(r_i - r_j)}, without k = 0 for 1 ≤ p ≤ 3.

    Parameters
    ----------
    exponent : int
        p in 1/r^p; 0 is the Gaussian density itself.
    width : float
        Width σ of the Gaussians in Å.
    max_angular : int
        Largest l.
    n_radial : int
        Number of radial functions.
    radial_integrals : callable
        Maps wave numbers (k,) in Å⁻¹ to I_nl(k) = ∫ x² R_nl(x) j_l(kx) dx and dI_nl/dk, two arrays
        (k, max_angular+1, n_radial).
    k_cutoff : float, optional
        Largest wave number in Å⁻¹; 6/σ by default.
    """

    def __init__(self, exponent, width, max_angular, n_radial, radial_integrals, k_cutoff=None):
        self.max_angular, self.n_radial, self.radial_integrals = max_angular, n_radial, radial_integrals
        super().__init__(exponent, width, k_cutoff or 6 / width, np.tile(harmonics.degrees(max_angular), n_radial))

    def compute(self, system, strengths, n_threads):
        """Expansion at every atom, the atom itself included as a source.

        Parameters
        ----------
        system : System
            A structure periodic in all three directions.
        strengths : array, shape (atoms, channels)
        n_threads : int

        Returns
        -------
        expansion : array, shape (atoms, channels, n_radial, (max_angular+1)²)
        state
            What `pull_back` needs.

        Raises
        ------
        StructureError
            The structure is not periodic in all directions.
        """
        flat, state = self._expand(system, strengths, n_threads)
        return flat.reshape(*flat.shape[:2], self.n_radial, -1), state

    def pull_back(self, state, d_expansion, n_threads, need_virial=True):
        """Pull dE/dV, shape (atoms, channels, n_radial, (max_angular+1)²), back: see `ParticleMesh.pull_back`."""
        return self._contract(state, d_expansion.reshape(*d_expansion.shape[:2], -1), n_threads, need_virial)

    def _coefficients(self, vectors):
        degrees = harmonics.degrees(self.max_angular)
        k = np.linalg.norm(vectors, axis=1)
        value, slope = PowerLaw(self.exponent, self.width).transform(k**2)
        integrals, changes = (np.moveaxis(np.asarray(part, dtype=float), 2, 1)[:, :, degrees]
                              for part in self.radial_integrals(k))  # [k, n, lm]
        solid, gradients = harmonics.evaluate(self.max_angular, vectors)
        # At k = 0 only l = 0 remains; a unit wave number stands in to keep the others' zeros finite.
        safe = np.where(k == 0, 1.0, k)
        powers = safe[:, None] ** -degrees.astype(float)
        angular = solid * powers
        radial = 4 * pi * value[:, None, None] * integrals
        d_radial = 4 * pi * (2 * (slope * k)[:, None, None] * integrals + value[:, None, None] * changes)
        along = d_radial - radial * (degrees / safe[:, None])[:, None, :]
        direction = vectors / safe[:, None]
        slopes = ((along * angular[:, None, :])[..., None] * direction[:, None, None, :]
                  + radial[..., None] * (gradients * powers[:, :, None])[:, None])
        slopes[k == 0] = 0.0
        return (radial * angular[:, None, :]).reshape(len(k), -1), slopes.reshape(len(k), -1, 3)


def half_space(cell, k_cutoff):
    """Integer frequencies of half of the wave vectors up to a cutoff, zero included.

    Parameters
    ----------
    cell : array, shape (3, 3)
        Cell vectors as rows in Å.
    k_cutoff : float
        In Å⁻¹.

    Returns
    -------
    array of int, shape (k, 3)
    """
    limits = np.floor(k_cutoff * np.linalg.norm(cell, axis=1) / (2 * pi)).astype(np.int64)
    axes = [np.arange(-limit if c else 0, limit + 1) for c, limit in enumerate(limits)]
    m = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    upper = (m[:, 0] > 0) | ((m[:, 0] == 0) & ((m[:, 1] > 0) | ((m[:, 1] == 0) & (m[:, 2] >= 0))))
    norms = np.linalg.norm(2 * pi * m @ np.linalg.inv(cell).T, axis=1)
    return np.ascontiguousarray(m[upper & (norms <= k_cutoff)])
