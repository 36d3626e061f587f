"""Polarizabilities of one and two water molecules at two cheap levels of theory: the published structures and new ones.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/dimer_labels.py`` labels the published dimers and monomers, the first
dimers that `dimer_draws.py` draws and those that `dimer_choice.py` chose of the later ones (1.2 s a dimer on one core),
and writes ``results/dimer_labels.npz`` every minute; interrupted, run it again. It needs ``pip install -e .[label]
basis-set-exchange``. The file holds positions only of the new dimers.

Hartree-Fock responds exactly, by its orbital Hessian; MP2 in finite fields, whose orbitals the same Hessian relaxes.
Both with density fitting. What two molecules do to each other, a sum of both follows by CCSD/d-aug-cc-pVTZ,
which takes hours a dimer, to 2 % of the spread (`dimer_levels.py`).
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from dimer_draws import DIMERS, MONOMERS, Draws, read, symbols
from response_limits import split
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from ase_lode.parallel import available_threads

RESULTS = Path(__file__).parent / "results" / "dimer_labels.npz"
#: How many dimers are labelled as drawn, and the file of the numbers of those chosen of the later ones.
DRAWN = 6_627
CHOSEN = Path(__file__).parent / "results" / "dimer_choice.npy"
#: The levels, in the order of the labels.
LEVELS = "HF/d-aug-cc-pVDZ", "MP2/d-aug-cc-pVDZ"
BASIS, FITTING = "d-aug-cc-pvdz", "aug-cc-pvdz-jkfit"
#: Field of the differences, atomic units: 4th derivatives add 0.1 % of the spread, rounding less.
FIELD = 0.003
AXES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
AXES = AXES / np.linalg.norm(AXES, axis=1, keepdims=True)
TO_TENSOR = np.linalg.pinv(np.einsum("ka,kb->kab", AXES, AXES).reshape(6, 9))
#: Largest gradient by the orbitals that counts as relaxed, and steps to get there.
RELAXED, STEPS = 1e-7, 4


class HartreeFock:
    """A closed-shell molecule in its own orbitals, with density fitting: how it answers fields.

    Parameters
    ----------
    positions : array, shape (atoms, 3)
        Of water molecules, O, H, H each, Å.
    basis : str
    present : sequence of int, optional
        Molecules of which there is more than the basis functions.
    """

    def __init__(self, positions, basis=BASIS, present=None):
        from pyscf import gto, lib, scf

        names = [symbol if present is None or k // 3 in present else f"ghost-{symbol}"
                 for k, symbol in enumerate(symbols(positions))]
        molecule = gto.M(atom=list(zip(names, positions)), basis=basis, verbose=0)
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


def labels(positions, correlated=True, **settings):
    """Polarizabilities by Hartree-Fock and MP2 in bohr³, (2, 3, 3); not a number what fails or is not wanted."""
    found = np.full((2, 3, 3), np.nan)
    try:
        molecule = HartreeFock(positions, **settings)
        second = molecule.mp2_polarizability() if correlated else np.nan
        found[0], found[1] = molecule.polarizability, second
    except (RuntimeError, np.linalg.LinAlgError) as error:
        print(f"left out: {error}", file=sys.stderr)
    return found


def load():
    """Labels of the published dimers and monomers, and numbers, positions and labels of the new dimers."""
    empty = np.zeros((0, len(LEVELS), 3, 3))
    known = {"published": empty, "monomers": empty, "numbers": np.zeros(0, int), "positions": np.zeros((0, 6, 3)),
             "new": empty}
    if RESULTS.is_file():
        with np.load(RESULTS) as content:
            known |= content
    return known


def replace(path, **arrays):
    """Write the file in one step."""
    draft = path.with_suffix(".draft.npz")
    np.savez_compressed(draft, **arrays)
    os.replace(draft, path)


def one_thread():
    """Each worker has a core of its own."""
    from pyscf import lib

    lib.num_threads(1)
    threadpool_limits(1)


def draws():
    """The new dimers, from the published ones that are not held back."""
    positions, energies = read(DIMERS)
    _, rest = split(len(positions))
    return Draws((positions[rest], energies[rest]), read(MONOMERS))


def main():
    known, drawn, saved = load(), draws(), time.time()
    labelled = set(known["numbers"].tolist())
    jobs = [(name, positions, {}) for name, file in (("published", DIMERS), ("monomers", MONOMERS))
            for positions in read(file)[0][len(known[name]):]]
    for number in [*range(DRAWN), *(np.load(CHOSEN) if CHOSEN.is_file() else [])]:
        if number not in labelled:
            positions = drawn.draw(number)
            jobs.append(("new", positions, {"numbers": number, "positions": positions}))
    with ProcessPoolExecutor(available_threads(), get_context("spawn"), one_thread) as pool:
        for (name, _, more), tensors in zip(jobs, pool.map(labels, [positions for _, positions, _ in jobs])):
            for key, row in {name: tensors, **more}.items():
                known[key] = np.concatenate([known[key], np.array(row)[None]])
            if time.time() - saved > 60:
                replace(RESULTS, **known)
                saved = time.time()
    replace(RESULTS, **known)


if __name__ == "__main__":
    main()
