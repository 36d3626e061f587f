"""Potentials with random weights, and small structures for them, to test every contract of a calculator."""

from functools import lru_cache

import numpy as np
from ase import Atoms

from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig
from ase_lode.models.baseline import Baseline
from ase_lode.models.network import Network
from ase_lode.models.potential import Potential
from ase_lode.neighbors import NeighborList
from ase_lode.system import System
from ase_lode.training.dataset import Structure
from ase_lode.training.network import Sample, initial

ELEMENTS = ["H", "C", "O"]
CHARGES = {"H": 0.25, "C": 0.1, "O": -0.6}
#: Triclinic, shorter than the cutoffs' diameters in every direction.
CELL = np.array([[5.6, 0.0, 0.0], [1.2, 5.1, 0.0], [-0.9, 0.8, 6.0]])
#: Field combinations by name; cutoffs below 4 Å keep every test small.
FIELDS = {
    "short": [],
    "charges": [{"exponent": 1, "max_angular": 2, "sources": "charges"}],
    "elements": [{"exponent": 6, "max_angular": 1, "sources": "elements"}],
    "full": [{"exponent": 1, "max_angular": 1, "near_field": "full", "sources": "elements", "max_radial": 2,
              "smearing": 0.8}],
    "full charges": [{"exponent": 1, "max_angular": 1, "near_field": "full", "sources": "charges", "max_radial": 2,
                      "smearing": 0.8}],
    "two": [{"exponent": 1, "max_angular": 2, "sources": "charges"},
            {"exponent": 6, "min_angular": 1, "max_angular": 1, "sources": "elements", "cutoff": 2.5}],
    "network": [{"exponent": 1, "max_angular": 2, "sources": "learned"},
                {"exponent": 6, "min_angular": 1, "max_angular": 1, "sources": "learned", "cutoff": 2.5}],
}


@lru_cache
def potential(fields="charges", repulsion=True, seed=0, posterior=False, **density):
    """A potential whose energies are of the order of an eV per atom.

    Parameters
    ----------
    fields : str
        A key of `FIELDS`.
    repulsion : bool
        Whether the baseline repels close atoms.
    seed : int
        Of the weights.
    posterior : bool
        Whether it carries weights for uncertainties and ranges for extrapolation.
    **density
        Overrides of the density's settings.
    """
    settings = {"cutoff": 3.5, "max_radial": 3, "max_angular": 2, **density}
    if fields == "network":
        return network(settings, repulsion, seed, posterior)
    model = ModelConfig.model_validate({"elements": ELEMENTS, "density": settings, "charges": CHARGES,
                                        "fields": FIELDS[fields]}).resolved()
    representation = Representation(model)
    rng = np.random.default_rng(seed)
    sizes = np.sqrt(np.mean(np.vstack([representation.invariants(representation.compute(System.from_atoms(atoms)))
                                       for atoms in (molecule(), bulk())]) ** 2, axis=0))
    scale = 1 / (np.maximum(sizes, 1e-3 * sizes.max()) * np.sqrt(len(sizes)))
    weights = scale * rng.normal(size=(len(ELEMENTS), representation.n_features))
    extra = {}
    if posterior:
        extra["posterior"] = weights + 0.01 * scale * rng.normal(size=(4, *weights.shape))
        coefficients = representation.compute(System.from_atoms(bulk())).coefficients[:, 0]
        width = np.ones((len(ELEMENTS), 1))
        extra["ranges"] = coefficients.min(axis=0) * width, coefficients.max(axis=0) * width
    return finished(fields, model, weights, repulsion, **extra)


def network(density, repulsion, seed, posterior):
    """The same with a network head, its last layers large enough to matter."""
    model = ModelConfig.model_validate({
        "elements": ELEMENTS, "density": density, "fields": FIELDS["network"],
        "head": {"type": "network", "channels": 16, "strengths": 3, "hidden": [16, 8], "cubic_angular": 2}}).resolved()
    head = Network(model, 1e-5)
    structures = [make(seed=number) for number in range(1, 9) for make in (molecule, bulk, slab)]
    samples = [Sample(Structure(System.from_atoms(atoms)), head, None) for atoms in structures]
    weights, sizes = initial(head, samples, seed)
    rng = np.random.default_rng(seed)
    weights += 0.1 * sizes * rng.normal(size=weights.shape)
    extra = {}
    if posterior:
        extra["posterior"] = 0.01 * rng.normal(size=(4, 2, len(ELEMENTS), 8))
        graph = head.graph(System.from_atoms(bulk()), NeighborList(head.cutoff))
        scalars = head.own(graph.pairs, graph.species)[:, 0]
        width = np.ones((len(ELEMENTS), 1))
        extra["ranges"] = scalars.min(axis=0) * width, scalars.max(axis=0) * width
    return finished("network", model, weights, repulsion, **extra)


def finished(name, model, weights, repulsion, **extra):
    """The potential with a baseline and a card."""
    baseline = Baseline(tuple(ELEMENTS), np.array([-13.6, -1030.0, -2040.0]),
                        np.full((3, 3), 1.2) if repulsion else None)
    header = {"name": f"synthetic {name}", "level_of_theory": "none",
              "data": {"periodicities": ["FFF", "TFF", "TTF", "TTT"]}}
    return Potential(model, weights, baseline, header, **extra)


def molecule(n=7, seed=1):
    """Atoms at chemical distances without any symmetry."""
    box = 4.5 * max(1.0, n / 9) ** (1 / 3) * np.eye(3)
    return Atoms(("HCOHHCO" * n)[:n], positions=scatter(n, 1.1, box, False, seed))


def bulk(seed=2):
    """A triclinic crystal of eight atoms."""
    return Atoms("HCOHHCOH", positions=scatter(8, 1.3, CELL, True, seed), cell=CELL, pbc=True)


def slab(seed=3):
    """A triclinic slab whose third cell vector is a dummy."""
    atoms = Atoms("HCOHHCOH", positions=scatter(8, 1.3, CELL, True, seed), cell=CELL, pbc=(True, True, False))
    atoms.cell[2] = [0.3, -0.5, 17.0]
    return atoms


def scatter(n, closest, cell, periodic, seed):
    """Random positions in a cell, none closer than a distance."""
    rng, found = np.random.default_rng(seed), []
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3) @ cell if periodic else np.zeros((1, 3))
    while len(found) < n:
        trial = rng.random(3) @ cell
        if all(np.linalg.norm(trial - other + shifts, axis=1).min() > closest for other in found):
            found.append(trial)
    return np.array(found)


def energy_and_forces(atoms, calc):
    """Through ASE, on a copy."""
    atoms = atoms.copy()
    atoms.calc = calc
    return atoms.get_potential_energy(), atoms.get_forces()


def evaluate_in_child(atoms, calc):
    """What a child process runs: with the calculator it was sent, and with a new one."""
    from ase_lode import LODECalculator

    energy, forces = energy_and_forces(atoms, calc)
    again = energy_and_forces(atoms, LODECalculator(calc.potential, n_threads=2))
    assert again[0] == energy
    return energy, forces
