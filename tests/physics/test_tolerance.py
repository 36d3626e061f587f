"""One tolerance holds: relative RMS errors of the exterior field and of its first derivatives, and of forces."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from structures import water_box
from synthetic import ELEMENTS, potential, scatter

from ase_lode import LODECalculator
from ase_lode.features import reaches
from ase_lode.features.expansion import Form
from ase_lode.features.exterior import ExteriorField
from ase_lode.hypers import FieldConfig
from ase_lode.neighbors import NeighborList
from ase_lode.system import System

PATTERNS = list(itertools.product((True, False), repeat=3))
SKEWED = np.array([[9.0, 0.0, 0.0], [3.5, 8.5, 0.0], [-4.0, 2.5, 9.0]])
CHARGES = {"H": 0.4, "C": 0.3, "O": -0.8}


def skewed(pbc=True):
    return Atoms("HOC" * 20, positions=scatter(60, 1.1, SKEWED, True, 1), cell=SKEWED, pbc=pbc)


def salt():
    """A crystal of two elements whose charges screen each other."""
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=1)
    atoms.symbols = ["H" if symbol == "Na" else "O" for symbol in atoms.symbols]
    return atoms


def field(tolerance, exponent, max_angular, cutoff, cutoff_width):
    config = FieldConfig(exponent=exponent, max_angular=max_angular, cutoff=cutoff, cutoff_width=cutoff_width,
                         charges=CHARGES)
    return ExteriorField(config, ELEMENTS, tolerance)


def evaluate(expansion, atoms):
    """V of every l, gradients of one random form of every l, and the same forms' gradients as rows of training."""
    system = System.from_atoms(atoms)
    species = np.array([ELEMENTS.index(symbol) for symbol in atoms.symbols])
    values, state = expansion.compute(system, species, NeighborList(expansion.reach), 1)
    generator, gradients, forms = np.random.default_rng(5), [], []
    for l in range(expansion.config.max_angular + 1):
        weights = np.zeros_like(values)
        block = slice(l * l, (l + 1) ** 2)
        weights[:, block] = generator.normal(size=weights[:, block].shape)
        gradient = np.zeros((len(atoms), 3))
        expansion.pull_back(system, state, weights, gradient, np.zeros((3, 3)), 1)
        gradients.append(gradient)
        forms.append(Form(np.arange(len(atoms)), l, weights[None, :, block, 0]))
    by_l = [values[:, l * l : (l + 1) ** 2] for l in range(len(gradients))]
    return by_l + gradients, lambda: [part[0][0, 0] for part in expansion.rows(system, state, forms, False)]


def error(found, expected):
    return np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))


@pytest.mark.parametrize("exponent, pbc", [(p, pbc) for p in (1, 4, 5, 6) for pbc in PATTERNS]
                         + [(p, (True,) * 3) for p in (2, 3)])
def test_exterior_field_in_a_skewed_cell(exponent, pbc, monkeypatch):
    monkeypatch.setattr(reaches, "DIRECT", np.inf if exponent == 1 else 0.0)
    cases = {1: (2, 4.0), 4: (2, 3.0), 6: (1, 4.0)}
    max_angular, cutoff = cases.get(exponent, (1, 3.5))
    atoms = skewed(pbc)
    found, _ = evaluate(field(1e-5, exponent, max_angular, cutoff, 0.5 * cutoff), atoms)
    monkeypatch.setattr(reaches, "DIRECT", 0.0)
    exact, _ = evaluate(field(1e-8, exponent, max_angular, cutoff, 0.5 * cutoff), atoms)
    for one, other in zip(found, exact):
        assert error(one, other) < 1e-5


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False)])
def test_exterior_field_in_long_vectors_of_the_same_crystal(pbc):
    atoms = skewed(pbc)
    atoms.set_cell([[1, 0, 0], [4, 1, 0], [0, 0, 1]] @ SKEWED)
    found, exact = (evaluate(field(tolerance, 1, 2, 4.0, 2.0), atoms)[0] for tolerance in (1e-5, 1e-8))
    for one, other in zip(found, exact):
        assert error(one, other) < 1e-5


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
@pytest.mark.parametrize("exponent, max_angular, cutoff, share", [
    (1, 0, 5.0, 0.5), (1, 2, 4.0, 0.5), (1, 2, 4.5, 1.0), (1, 3, 5.0, 0.2), (4, 1, 4.0, 0.5), (6, 2, 4.5, 0.5)])
@pytest.mark.parametrize("structure", ["water", "salt"])
def test_exterior_field_against_direct_sums(structure, exponent, max_angular, cutoff, share, tolerance):
    atoms = water_box(32) if structure == "water" else salt()
    found, direct = evaluate(field(tolerance, exponent, max_angular, cutoff, share * cutoff), atoms)
    for one, other in zip(found[max_angular + 1 :], direct()):
        assert error(one, other) < tolerance


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, False)])
def test_forces_at_the_default_tolerance(pbc, monkeypatch):
    atoms = skewed(pbc)
    monkeypatch.setattr(reaches, "DIRECT", np.inf)
    default, tight = (LODECalculator(potential("charges"), on_extrapolation="ignore", **keywords)
                      for keywords in ({}, {"tolerance": 1e-9}))
    assert error(default.get_forces(atoms), tight.get_forces(atoms)) < 1e-5
