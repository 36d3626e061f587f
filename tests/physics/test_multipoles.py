"""The linear model on density x field features is a multipole expansion: exact from its l on, nothing below it.

A rigid molecule, a carbon with three ligands, stands far from its sources. Only the carbon's features are used: with
charges on several centres the monopoles would build higher multipoles by themselves.
"""

from itertools import pairwise

import numpy as np
import pytest
from reference import harmonics
from scipy.spatial.transform import Rotation

from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig
from ase_lode.system import System

L_MAX = 4
#: Ligands at three distances, inside the part of the cutoff where the field of neighbours is off; no symmetry.
LIGANDS = np.array([[1.0, 0.1, 0.2], [-0.4, 1.1, 0.3], [-0.3, -0.5, 1.2]])
#: A rod is its own mirror image: odd multipoles vanish.
ROD = np.array([[0.0, 0.0, 1.1], [0.0, 0.0, -1.1]])
STRENGTHS = np.array([0.7, -1.2, 0.9])
C, H, NA = 6, 1, 11


def representation(field_l):
    model = {"elements": ["C", "H", "Na"], "invariants": [(0, 1)],
             "density": {"cutoff": 3.0, "max_radial": 3, "max_angular": L_MAX},
             "fields": [{"max_angular": field_l, "sources": "elements", "cutoff": 3.0, "cutoff_width": 0.5}]}
    return Representation(ModelConfig.model_validate(model).resolved())


def systems(ligands, count, distances=(6.0, 12.0), sources=1):
    """Turned molecules at the origin, each with cations around it."""
    rng = np.random.default_rng(7)
    for turn in Rotation.random(count, rng=rng):
        directions = rng.normal(size=(sources, 3))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        far = directions * rng.uniform(*distances, (sources, 1))
        positions = np.vstack([np.zeros(3), turn.apply(ligands), far])
        numbers = np.array([C] + [H] * len(ligands) + [NA] * sources)
        yield System(numbers, positions, np.eye(3), np.zeros(3, bool))


def features(model, samples):
    """Products of the carbon's density with the field of the cations, one row per structure."""
    rows = np.array([model.invariants(model.compute(system))[0] for system in samples])
    sodium = model.layout.scales[1].channels[2]
    return rows[:, (model.layout.q == sodium) | (model.layout.r == sodium)]


def ideal(degree, system):
    """Energy of a cation in the potential of a point multipole of one l, made of the ligands' directions."""
    molecule, far = system.positions[1:-1], system.positions[-1]
    block = slice(degree**2, (degree + 1) ** 2)
    moments = STRENGTHS[: len(molecule)] @ harmonics(degree, molecule)[:, block]
    if degree == 0:
        moments = np.array([1.0])
    return moments @ harmonics(degree, far)[block] / np.linalg.norm(far) ** (degree + 1)


def finite(charges, system):
    """Energy of cations in the potential of charges on the ligands and their opposite on the carbon."""
    inside = system.numbers != NA
    charges = np.concatenate([[-np.sum(charges)], charges])
    distances = np.linalg.norm(system.positions[inside][:, None] - system.positions[~inside], axis=-1)
    return np.sum(charges[:, None] / distances)


def misfit(rows, labels):
    """What a linear fit leaves of the labels, relative to their size."""
    norms = np.linalg.norm(rows, axis=0)
    rows = rows[:, norms > 0] / norms[norms > 0]
    weights = np.linalg.lstsq(rows, labels, rcond=1e-13)[0]
    return np.linalg.norm(rows @ weights - labels) / np.linalg.norm(labels)


@pytest.mark.parametrize("degree", range(L_MAX))
def test_point_multipoles_are_fitted_from_their_l_on(degree):
    samples = list(systems(LIGANDS, 150))
    labels = np.array([ideal(degree, system) for system in samples])
    for field_l in range(L_MAX + 1):
        left = misfit(features(representation(field_l), samples), labels)
        if field_l >= degree:
            assert left < 1e-8
        else:
            assert left > 0.8


def test_finite_molecules_fall_with_every_step():
    """Misfit drops at each l by about the ratio of the molecule's size to the distance."""
    samples = list(systems(LIGANDS, 200, distances=(8.0, 16.0), sources=2))
    labels = np.array([finite(STRENGTHS, system) for system in samples])
    left = [misfit(features(representation(field_l), samples), labels) for field_l in range(L_MAX + 1)]
    assert left[0] > 0.8
    assert all(after < 0.3 * before for before, after in pairwise(left))
    assert left[-1] < 1e-3


def test_centrosymmetric_molecules_step_at_even_l_only():
    samples = list(systems(ROD, 200, distances=(8.0, 16.0)))
    labels = np.array([finite(np.array([0.5, 0.5]), system) for system in samples])
    left = [misfit(features(representation(field_l), samples), labels) for field_l in range(L_MAX + 1)]
    assert left[0] > 0.8 and left[1] > 0.8
    assert left[2] < 0.1 and left[3] > 0.8 * left[2]
    assert left[4] < 0.1 * left[2]


@pytest.mark.parametrize("degree", range(L_MAX))
def test_fitted_multipoles_extrapolate_and_decay(degree):
    """Fitted between 6 and 12 Å, energies are right at 200 Å, and fall as r^-(l+1)."""
    model = representation(degree)
    samples = list(systems(LIGANDS, 100))
    rows = features(model, samples)
    norms = np.linalg.norm(rows, axis=0)
    used = norms > 0
    weights = np.linalg.lstsq(rows[:, used] / norms[used], [ideal(degree, s) for s in samples], rcond=1e-13)[0]
    weights = weights / norms[used]
    system = next(systems(LIGANDS, 1))
    direction = system.positions[-1] / np.linalg.norm(system.positions[-1])
    energies = []
    for distance in (20.0, 200.0):
        positions = np.vstack([system.positions[:-1], distance * direction])
        moved = System(system.numbers, positions, system.cell, system.pbc)
        energies.append(features(model, [moved])[0][used] @ weights)
        assert energies[-1] == pytest.approx(ideal(degree, moved), rel=1e-7)
    assert np.log10(energies[0] / energies[1]) == pytest.approx(degree + 1, abs=1e-7)
