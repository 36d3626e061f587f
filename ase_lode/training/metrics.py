"""Errors of a potential against labels: root mean square and mean absolute, per label, element and class."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ase_lode.cluster import spread
from ase_lode.hypers import TARGET_UNITS
from ase_lode.system import CHEMICAL_SYMBOLS

#: Unit of each label's errors; energies are per atom.
UNITS = {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å³", "dipole": "e·Å", "polarizability": "Å³",
         "dielectric_tensor": "1", "born_effective_charges": "e"}
#: Labels of the response that grow with the structure.
EXTENSIVE = ("dipole", "polarizability")
#: Structures that travel to a worker together.
BATCH = 16


@dataclass
class Comparison:
    """Predictions beside labels of many structures, and how uncertain the potential was.

    Attributes
    ----------
    reference, predicted, sigma : dict of list of array
        By label (the keys of `UNITS`), one array per structure; energies per atom; `sigma` has None where no
        uncertainty was asked for or known.
    structures : dict of list of Structure
        By label, the structure of each array.
    """

    reference: dict = field(default_factory=dict)
    predicted: dict = field(default_factory=dict)
    sigma: dict = field(default_factory=dict)
    structures: dict = field(default_factory=dict)

    def add(self, structure, label, reference, predicted, sigma=None):
        """One label of one structure."""
        self.reference.setdefault(label, []).append(np.atleast_1d(reference))
        self.predicted.setdefault(label, []).append(np.atleast_1d(predicted))
        self.sigma.setdefault(label, []).append(None if sigma is None else np.atleast_1d(sigma))
        self.structures.setdefault(label, []).append(structure)

    def errors(self, label):
        """Predicted minus reference, all numbers in one row."""
        return np.concatenate([(p - r).ravel() for p, r in zip(self.predicted[label], self.reference[label])])

    def summary(self):
        """Errors per label, and of the energies and forces per element and class, as plain numbers."""
        result = {label: {**_errors(self.errors(label)), "unit": UNITS[label]} for label in self.reference}
        for label in set(result) & set(TARGET_UNITS):
            result[label].update(self._of_response(label))
        if "forces" in self.reference:
            result["forces_by_element"] = self._by_element()
        for label in self.reference:
            classes = self._by_class(label)
            if len(classes) > 1:
                result[f"{label}_by_config_type"] = classes
        return result

    def _of_response(self, label):
        """Share of the components' spread that the error is and, where the label grows with the structure, per atom."""
        values = np.concatenate([np.reshape(r, (-1, 3 if label == "dipole" else 9)) for r in self.reference[label]])
        spread = float(np.sqrt(np.mean((values - values.mean(axis=0)) ** 2)))
        rmse = np.sqrt(np.mean(self.errors(label) ** 2))
        result = {"percent_of_spread": float(100 * rmse / spread) if spread > 0 else None}
        if label in EXTENSIVE:
            pairs = zip(self.predicted[label], self.reference[label], self.structures[label])
            errors = np.concatenate([(p - r).ravel() / len(s) for p, r, s in pairs])
            result["rmse_per_atom"] = float(np.sqrt(np.mean(errors**2)))
        return result

    def _by_element(self):
        numbers = np.concatenate([s.system.numbers for s in self.structures["forces"]])
        errors = self.errors("forces").reshape(-1, 3)
        return {CHEMICAL_SYMBOLS[z]: _errors(errors[numbers == z].ravel()) for z in np.unique(numbers)}

    def _by_class(self, label):
        kinds = {}
        parts = zip(self.structures[label], self.predicted[label], self.reference[label])
        for structure, predicted, reference in parts:
            kinds.setdefault(structure.config_type, []).append((predicted - reference).ravel())
        return {kind: _errors(np.concatenate(parts)) for kind, parts in sorted(kinds.items())}

    def coverage(self):
        """Share of errors within one predicted standard deviation, per label."""
        return {label: float(np.mean(abs(errors) <= sigma)) for label, (errors, sigma) in self.judged().items()}

    def judged(self):
        """Errors and predicted standard deviations per label, of the structures that have both."""
        result = {}
        for label, sigmas in self.sigma.items():
            known = [(p - r, s) for p, r, s in zip(self.predicted[label], self.reference[label], sigmas)
                     if s is not None]
            if known:
                result[label] = tuple(np.concatenate([np.ravel(part) for part in parts]) for parts in zip(*known))
        return result


def _errors(errors):
    return {"rmse": float(np.sqrt(np.mean(errors**2))), "mae": float(np.mean(abs(errors))), "count": len(errors)}


def compare(potential, structures, n_threads=1, progress=None, label="", uncertain=0, workers=None):
    """Evaluate a potential on labelled structures, exactly as a calculator would.

    Parameters
    ----------
    potential : Potential
        What to judge.
    structures : list of Structure
        With labels; those that are None are left out.
    n_threads : int
        Threads of each evaluation.
    uncertain : int
        Number of structures, evenly chosen, whose uncertainty is compared with their error.
    workers : int or str, optional
        Number of processes to start, or the address of a Dask scheduler; see `ase_lode.cluster.spread`.

    Returns
    -------
    Comparison
    """
    result = Comparison()
    stride = max(1, -(-len(structures) // uncertain)) if uncertain else len(structures) + 1
    items = ((structure.system, index % stride == 0, has_energies(structure), tuple(structure.response))
             for index, structure in enumerate(structures, start=1))
    outcomes = spread(partial(_evaluate, potential, n_threads), items, workers, BATCH)
    outcomes = progress.track(outcomes, label, len(structures)) if progress else outcomes
    for (out, responses), structure in zip(outcomes, structures):  # in this order, for track to see its end
        n = len(structure)
        for label, reference in structure.response.items():
            result.add(structure, label, reference, responses[label])
        if structure.energy is not None:
            sigma = None if out.energy_uncertainty is None else out.energy_uncertainty / n
            result.add(structure, "energy", structure.energy / n, out.energy / n, sigma)
        if structure.forces is not None:
            result.add(structure, "forces", structure.forces, -out.gradient, out.gradient_uncertainty)
        if structure.stress is not None:
            stress = voigt(out.virial) / structure.system.measure
            result.add(structure, "stress", structure.stress, stress)
    return result


def has_energies(structure):
    """Whether a structure has an energy, forces or a stress."""
    return any(label is not None for label in (structure.energy, structure.forces, structure.stress))


def _evaluate(potential, n_threads, item, worker_threads):
    system, uncertainty, energies, labels = item
    n_threads = worker_threads or n_threads
    evaluation, responses = None, {}
    if energies:
        evaluation = potential.evaluate(system, n_threads=n_threads, uncertainty=uncertainty)
    if labels:
        values = potential.respond(system, n_threads, born="born_effective_charges" in labels)
        responses = {label: getattr(values, label) for label in labels}
    return evaluation, responses

#: Strains by Voigt index, shears halved into both off-diagonals.
STRAINS = np.zeros((6, 3, 3))
for _k, (_a, _b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
    STRAINS[_k, _a, _b] += 0.5
    STRAINS[_k, _b, _a] += 0.5


def voigt(tensor):
    """xx yy zz yz xz xy of the symmetric part of a (3, 3) tensor."""
    symmetric = (tensor + tensor.T) / 2
    return symmetric[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
