"""Rows of the least-squares problem: the features of labelled structures, weighted so that all labels count alike."""

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from ase_lode.models.baseline import compositions

#: What a row is about, as an index.
KINDS = ("energy", "forces", "stress")

#: Structures handed to the threads at once.
BATCH = 8
#: Energies that the baseline explains to this share of their size are explained to rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Scales:
    """What one residual of each label is divided by; 0 leaves the label out.

    Attributes
    ----------
    energy : float
        In eV per square root of atoms.
    forces : float
        In eV/Å.
    stress : float
        In eV/Å³.
    """

    energy: float = 0.0
    forces: float = 0.0
    stress: float = 0.0

    @classmethod
    def of(cls, spreads, weights, structures):
        """Scales from the spreads and weights of the labels.

        Energies are extensive sums of many contributions, so their residuals are judged per square root of atoms.
        Measured on dipeptides and on water, this balance is within 5 % of the best for energies and for forces, and
        tenfold changes of it matter little. Stresses, six a structure, are raised to the number of force components.
        """
        atoms = np.mean([len(s) for s in structures])
        factors = {"energy": 1.0, "forces": 1.0, "stress": np.sqrt(2 / atoms)}
        return cls(**{kind: spread * factors[kind] / np.sqrt(weights[kind])
                      for kind, spread in spreads.items() if weights[kind] > 0})


def label_spreads(structures, counts):
    """Spread of every label in the training set, relative to which residuals are weighed.

    Parameters
    ----------
    structures : list of Structure
        Training structures.
    counts : array, shape (structures, elements)
        Atoms of each element.

    Returns
    -------
    dict
        Root mean square of the energies per atom beyond the best energies of the elements (eV), of force components
        (eV/Å), of stress components (eV/Å³); 1 where all are the same, and labels without a value are absent.
        Reference energies that are given, such as those of free atoms, thus do not hide the spread that matters.
    """
    known = [index for index, s in enumerate(structures) if s.energy is not None]
    forces = [s.forces.ravel() for s in structures if s.forces is not None]
    stresses = [s.stress for s in structures if s.stress is not None]
    energies, floors = np.array([]), {}
    if known:
        shares = counts[known] / counts[known].sum(axis=1, keepdims=True)
        energies = np.array([structures[index].energy / len(structures[index]) for index in known])
        floors["energy"] = ROUNDING * np.abs(energies).max()
        energies = energies - shares @ np.linalg.lstsq(shares, energies, rcond=None)[0]
    spreads = {}
    for kind, values in zip(KINDS, (energies, forces, stresses)):
        if len(values):
            spread = float(np.sqrt(np.mean(np.hstack(values) ** 2)))
            spreads[kind] = spread if spread > floors.get(kind, 0.0) else 1.0
    return spreads


@dataclass(frozen=True)
class Stack:
    """Rows of several structures in memory.

    Attributes
    ----------
    rows : array, shape (rows, columns)
    targets : array, shape (rows,)
    kinds : array of int, shape (rows,)
        Index into `KINDS`.
    units : array, shape (rows,)
        What turns a residual into eV/atom, eV/Å or eV/Å³.
    first : array of int, shape (structures + 1,)
        Structure s owns the rows ``first[s]:first[s + 1]``.
    """

    rows: np.ndarray
    targets: np.ndarray
    kinds: np.ndarray
    units: np.ndarray
    first: np.ndarray

    def residuals(self, weights):
        """Prediction minus target, in units of the scales."""
        return self.rows @ weights - self.targets

    def rmse(self, residuals):
        """Root mean square per kind in eV/atom, eV/Å and eV/Å³."""
        errors = residuals * self.units
        return {KINDS[k]: float(np.sqrt(np.mean(errors[self.kinds == k] ** 2))) for k in np.unique(self.kinds)}


class RowMaker:
    """Turns structures into weighted rows over all columns: features by element, then atoms by element.

    The columns of the composition let reference energies follow the mean of the features instead of fighting it.

    Parameters
    ----------
    representation : Representation
        Gives the features' sums and derivatives.
    elements : sequence of str
        The model's elements.
    baseline : Baseline
        Removed from the energies; its repulsion is zero on every training structure.
    scales : Scales
        Divisors of the residuals.
    n_threads : int
        Structures computed side by side, each thread with a copy of the representation.
    """

    def __init__(self, representation, elements, baseline, scales, n_threads=1):
        self.representation = representation
        self._copies = [representation] + [copy.deepcopy(representation) for _ in range(n_threads - 1)]
        self.elements = elements
        self.baseline = baseline
        self.scales = scales
        self.n_features = len(elements) * representation.n_features
        self.n_columns = self.n_features + len(elements)

    def count(self, structure):
        """Number of rows of a structure."""
        return len(self._kinds(structure))

    def units(self, structure):
        """What turns each row's residual into eV/atom, eV/Å or eV/Å³, shape (count,)."""
        kinds = self._kinds(structure)
        return np.array([self.scales.energy / np.sqrt(len(structure)), self.scales.forces, self.scales.stress])[kinds]

    def _uses(self, structure):
        return tuple(getattr(self.scales, kind) > 0 and getattr(structure, kind) is not None for kind in KINDS)

    def _kinds(self, structure):
        sizes = (1, 3 * len(structure), 6)
        return np.repeat(np.arange(3), [size * use for size, use in zip(sizes, self._uses(structure))])

    def first(self, structures):
        """Where the rows of each structure begin, and the last end, shape (structures + 1,)."""
        return np.concatenate(([0], np.cumsum([self.count(s) for s in structures]))).astype(int)

    def fill(self, structures, rows, targets):
        """Write the rows of some structures, shape (rows, n_columns), and their targets."""
        first = self.first(structures)

        def work(part):
            for index in range(part, len(structures), len(self._copies)):
                block = slice(first[index], first[index + 1])
                self._fill_one(self._copies[part], structures[index], rows[block], targets[block])

        # Structures side by side, so matrix products must not start threads of their own on the same cores.
        with threadpool_limits(1), ThreadPoolExecutor(len(self._copies)) as pool:
            list(pool.map(work, range(len(self._copies))))

    def _fill_one(self, representation, structure, rows, targets):
        energy, forces, stress = self._uses(structure)
        system, n = structure.system, len(structure)
        made = representation.rows(system, forces=forces, stress=stress)
        at = 0
        if energy:
            counts = compositions([system], self.elements)[0]
            factor = 1 / (self.scales.energy * np.sqrt(n))
            rows[0, :self.n_features] = factor * made.energy
            rows[0, self.n_features:] = factor * counts
            targets[0] = factor * (structure.energy - counts @ self.baseline.energies)
            at = 1
        if forces:
            block = slice(at, at + 3 * n)
            np.multiply(made.gradient, -1 / self.scales.forces, out=rows[block, :self.n_features])
            rows[block, self.n_features:] = 0
            targets[block] = structure.forces.ravel() / self.scales.forces
            at += 3 * n
        if stress:
            block = slice(at, at + 6)
            np.multiply(made.virial, 1 / (self.scales.stress * system.measure), out=rows[block, :self.n_features])
            rows[block, self.n_features:] = 0
            targets[block] = structure.stress / self.scales.stress

    def stack(self, structures, progress=None, label="rows"):
        """Rows of several structures in memory.

        Returns
        -------
        Stack
        """
        first = self.first(structures)
        rows, targets = np.empty((first[-1], self.n_columns)), np.empty(first[-1])
        for stop, _ in enumerate(progress.track(structures, label) if progress else structures, start=1):
            if stop % BATCH == 0 or stop == len(structures):
                start = (stop - 1) // BATCH * BATCH
                block = slice(first[start], first[stop])
                self.fill(structures[start:stop], rows[block], targets[block])
        kinds, units = (np.concatenate([of(s) for s in structures]) for of in (self._kinds, self.units))
        return Stack(rows, targets, kinds, units, first)
