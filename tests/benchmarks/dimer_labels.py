"""Polarizabilities of water dimers at three cheap levels of theory, for the published dimers and for many between them.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/dimer_labels.py [N]`` labels the published dimers, then new ones until
there are N (1.2 s each on one core), and writes ``results/dimer_labels.npz`` every minute; interrupted, run it
again. It needs ``pip install -e .[label] basis-set-exchange``. The file holds no structures: new ones are made of the
published ones again, and a number of each says whether that worked.

Hartree-Fock responds exactly, by its orbital Hessian; MP2 in finite fields, whose orbitals the same Hessian relaxes.
Both with density fitting. A sum of the three levels follows CCSD/d-aug-cc-pVTZ, which takes hours a dimer, to 2 % of
the spread (`dimer_levels.py`).
"""

import os
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import pdist
from water_pairs import distances, permutations

RESULTS = Path(__file__).parent / "results" / "dimer_labels.npz"
DATA = "dielectric/water_dimer_train.xyz"
SYMBOLS = ["O", "H", "H", "O", "H", "H"]
#: The levels, in the order of the labels.
LEVELS = "HF/aug-cc-pVDZ", "MP2/aug-cc-pVDZ", "HF/d-aug-cc-pVDZ"
FITTING = "aug-cc-pvdz-jkfit"
#: A new dimer lies on the line through a published one and one of its nearest, up to a fifth beyond either, with noise
#: of so many Å; none has atoms closer than the last.
NEAREST, BEYOND, NOISE, CLOSEST = 10, 0.2, 0.02, 0.7
SEED, CANDIDATES = 1, 20_000
#: Weights with which structures are laid upon each other, roots of masses.
WEIGHTS = np.array([4.0, 1.0, 1.0, 4.0, 1.0, 1.0])
#: Mean squares that differ by less count as equal, Å².
EQUAL = 1e-9
#: Field of the differences, atomic units: 4th derivatives add 0.1 % of the spread, rounding less.
FIELD = 0.003
AXES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
AXES = AXES / np.linalg.norm(AXES, axis=1, keepdims=True)
TO_TENSOR = np.linalg.pinv(np.einsum("ka,kb->kab", AXES, AXES).reshape(6, 9))
#: Largest gradient by the orbitals that counts as relaxed, and steps to get there.
RELAXED, STEPS = 1e-7, 4
#: Projection whose value tells structures apart.
FINGERPRINT = np.random.default_rng(0).standard_normal(18)


def published():
    """Positions of the published dimers, (structures, 6, 3)."""
    return np.array([atoms.positions for atoms in ase.io.read(Path(os.environ["ASE_LODE_DATA"]) / DATA, ":")])


def between(positions):
    """New structures made of others, the same ones from the same.

    Returns
    -------
    new : array, shape (structures, 6, 3)
    parents : array of int, shape (structures, 2)
        Of which two each is made.
    """
    images = np.stack([distances(positions[:, order]) for order in permutations()], axis=1)
    squares = ((images[:, 0][:, None, None] - images) ** 2).sum(axis=-1).min(axis=-1)
    np.fill_diagonal(squares, np.inf)
    nearest = np.argsort(squares, axis=1)[:, :NEAREST]
    rng, found, parents = np.random.default_rng(SEED), [], []
    for _ in range(CANDIDATES):
        i = rng.integers(len(positions))
        j = nearest[i, rng.integers(NEAREST)]
        other, share = laid_upon(positions[j], positions[i]), rng.uniform(-BEYOND, 1 + BEYOND)
        new = positions[i] + share * (other - positions[i]) + NOISE * rng.standard_normal((6, 3))
        if pdist(new).min() > CLOSEST:
            found.append(new)
            parents.append((i, j))
    return np.array(found), np.array(parents)


def laid_upon(one, other):
    """The structure turned, mirrored and with like atoms exchanged so that it is closest to another.

    Kabsch, Acta Cryst. A32, 922 (1976). Of several that are equally close, as beside a symmetric structure, the first.
    """
    share = WEIGHTS / WEIGHTS.sum()
    centre, found = share @ other, []
    for order in permutations():
        for sign in (1, -1):
            moved = sign * (one[order] - share @ one[order])
            u, _, v = np.linalg.svd((share[:, None] * moved).T @ (other - centre))
            moved = moved @ u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v + centre
            found.append((np.sum(share[:, None] * (moved - other) ** 2), moved))
    least = min(error for error, _ in found)
    return next(moved for error, moved in found if error < least + EQUAL)


class HartreeFock:
    """A closed-shell molecule in its own orbitals, with density fitting: how it answers fields.

    Parameters
    ----------
    positions : array, shape (6, 3)
        Å.
    basis : str
    """

    def __init__(self, positions, basis):
        from pyscf import gto, lib, scf

        molecule = gto.M(atom=list(zip(SYMBOLS, positions)), basis=basis, verbose=0)
        field = scf.RHF(molecule).density_fit(auxbasis=FITTING)
        field.conv_tol = 1e-11
        field.kernel()
        if not field.converged:
            raise RuntimeError("Hartree-Fock does not converge")
        orbitals, energies = field.mo_coeff, field.mo_energy
        self.n, self.n_occupied = len(energies), int((field.mo_occ > 0).sum())
        fitted = lib.unpack_tril(field.with_df._cderi)
        self.pairs = np.matmul(orbitals.T, np.matmul(fitted, orbitals))  # (auxiliary, orbitals, orbitals)
        self.core = orbitals.T @ field.get_hcore() @ orbitals
        self.dipole = np.einsum("pi,xpq,qj->xij", orbitals, molecule.intor("int1e_r"), orbitals, optimize=True)
        self._hessian = cho_factor(self._orbital_hessian(energies))
        flat = self.dipole[:, self.n_occupied:, :self.n_occupied].reshape(3, -1)
        self._answers = cho_solve(self._hessian, flat.T).T
        self.polarizability = 4 * flat @ self._answers.T

    def _orbital_hessian(self, energies):
        """A + B of the rotations of occupied into empty orbitals, real and singlet."""
        occupied, empty = slice(self.n_occupied), slice(self.n_occupied, None)
        size = self.n - self.n_occupied, self.n_occupied

        def products(one, other):
            one, other = (np.ascontiguousarray(self.pairs[:, *part]).reshape(len(self.pairs), -1)
                          for part in (one, other))
            return one.T @ other

        coulomb = products((empty, occupied), (empty, occupied))
        exchange = coulomb.reshape(*size, *size).transpose(0, 3, 2, 1).reshape(coulomb.shape)
        direct = products((empty, empty), (occupied, occupied)).reshape(size[0], size[0], size[1], size[1])
        result = 4 * coulomb - exchange - direct.transpose(0, 2, 1, 3).reshape(coulomb.shape)
        result[np.diag_indices(len(result))] += np.subtract.outer(energies[empty], energies[occupied]).ravel()
        return result

    def mp2_polarizability(self):
        """Second differences of the MP2 energy in fields along six axes, the orbitals relaxed in each."""
        zero = self._mp2_energy(np.eye(self.n), self.core)
        seconds = []
        for axis in AXES:
            ends = [self._mp2_energy(self._relaxed(field * axis), self._core_in(field * axis))
                    for field in (FIELD, -FIELD)]
            seconds.append((2 * zero - sum(ends)) / FIELD**2)
        return (np.array(seconds) @ TO_TENSOR.T).reshape(3, 3)

    def _core_in(self, field):
        return self.core + np.einsum("x,xij->ij", field, self.dipole)

    def _fock(self, occupied, core):
        """Fock matrix, and the pairs of all orbitals with occupied ones."""
        half = np.matmul(self.pairs, occupied)
        density = np.einsum("Lpo,po->L", half, occupied)
        flat = half.transpose(1, 0, 2).reshape(self.n, -1)
        return core + 2 * np.tensordot(density, self.pairs, 1) - flat @ flat.T, half

    def _relaxed(self, field):
        """Orbitals in a field by Newton's steps with the Hessian without one."""
        o, core, orbitals = self.n_occupied, self._core_in(field), np.eye(self.n)
        turn = -(field @ self._answers).reshape(-1, o)
        for _ in range(STEPS):
            rotation = np.zeros((self.n, self.n))
            rotation[o:, :o], rotation[:o, o:] = turn, -turn.T
            orbitals = np.linalg.qr(orbitals @ (np.eye(self.n) + rotation + rotation @ rotation / 2))[0]
            orbitals = np.hstack([_aligned(orbitals[:, :o], slice(o)), _aligned(orbitals[:, o:], slice(o, None))])
            gradient = orbitals[:, o:].T @ self._fock(orbitals[:, :o], core)[0] @ orbitals[:, :o]
            if abs(gradient).max() < RELAXED:
                return orbitals
            turn = -cho_solve(self._hessian, gradient.ravel()).reshape(turn.shape)
        raise RuntimeError("orbitals do not relax in the field")

    def _mp2_energy(self, orbitals, core):
        """Hartree-Fock and second-order energy, without the nuclei."""
        o = self.n_occupied
        fock, half = self._fock(orbitals[:, :o], core)
        energy = np.vdot(orbitals[:, :o] @ orbitals[:, :o].T, core + fock)
        low, lower = np.linalg.eigh(orbitals[:, :o].T @ fock @ orbitals[:, :o])
        high, upper = np.linalg.eigh(orbitals[:, o:].T @ fock @ orbitals[:, o:])
        pairs = np.matmul(np.matmul((orbitals[:, o:] @ upper).T, half), lower).reshape(len(half), -1)
        integrals = pairs.T @ pairs
        gaps = np.subtract.outer(low, high).T.ravel()
        size = len(high), o
        exchange = integrals.reshape(*size, *size).transpose(0, 3, 2, 1).reshape(integrals.shape)
        return energy + np.vdot(integrals / np.add.outer(gaps, gaps), 2 * integrals - exchange)


def _aligned(orbitals, rows):
    """Orbitals turned among each other so that they are nearest to the unit vectors of these rows."""
    u, _, v = np.linalg.svd(orbitals[rows])
    return orbitals @ (u @ v).T


def labels(positions):
    """Polarizabilities at all levels in bohr³, (3, 3, 3); not a number where one of them fails."""
    try:
        small = HartreeFock(positions, "aug-cc-pvdz")
        return np.array([small.polarizability, small.mp2_polarizability(),
                         HartreeFock(positions, "d-aug-cc-pvdz").polarizability])
    except RuntimeError as error:
        print(f"left out: {error}", file=sys.stderr)
        return np.full((3, 3, 3), np.nan)


def load():
    """What there is: labels of the published dimers, and labels, numbers and fingerprints of new ones."""
    if RESULTS.is_file():
        with np.load(RESULTS) as content:
            return dict(content)
    empty = np.zeros((0, 3, 3, 3))
    return {"published": empty, "new": empty, "number": np.zeros(0, int), "fingerprint": np.zeros(0)}


def labelled():
    """Positions, parents and labels of the new dimers that have some; labels of the published ones.

    Raises
    ------
    ValueError
        The new dimers are not those that were labelled.
    """
    known, (new, parents) = load(), between(published())
    new, parents = new[known["number"]], parents[known["number"]]
    if abs(new.reshape(len(new), 18) @ FINGERPRINT - known["fingerprint"]).max() > 1e-5:
        raise ValueError(f"{DATA} makes other dimers than those of {RESULTS.name}; label them anew.")
    kept = np.isfinite(known["new"]).all(axis=(1, 2, 3))
    return new[kept], parents[kept], known["new"][kept], known["published"]


def main(wanted):
    known, positions = load(), published()
    (new, _), saved = between(positions), time.time()
    while True:
        if len(known["published"]) < len(positions):
            found = labels(positions[len(known["published"])])
            known["published"] = np.concatenate([known["published"], found[None]])
        elif len(known["new"]) < wanted:
            number = np.setdiff1d(np.arange(len(new)), known["number"])[0]
            known["new"] = np.concatenate([known["new"], labels(new[number])[None]])
            known["number"] = np.append(known["number"], number)
            known["fingerprint"] = np.append(known["fingerprint"], new[number].ravel() @ FINGERPRINT)
        else:
            return save(known)
        if time.time() - saved > 60:
            save(known)
            saved = time.time()


def save(known):
    """Replace the file in one step."""
    draft = RESULTS.with_suffix(".draft.npz")
    np.savez_compressed(draft, **known)
    os.replace(draft, RESULTS)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
