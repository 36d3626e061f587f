"""Fits recover what generated the data, agree between their two solvers, and know how wrong they are."""

from itertools import pairwise

import numpy as np
import pytest

from ase_lode.models.baseline import Baseline
from ase_lode.training import fit as fit_module
from ase_lode.training.dataset import Structure
from ase_lode.training.fit import EXACT_STRENGTH, Fitter, left_out, lowest, penalties
from ase_lode.training.normal import NormalEquations
from ase_lode.training.orthogonal import Orthogonal
from ase_lode.training.rows import RowMaker, Scales

ELEMENTS = ("H", "O")
SCALES = Scales(1.0, 1.0, 0.01)
WEIGHTS = {"energy": 1.0, "forces": 1.0, "stress": 0.1}


@pytest.fixture
def problem():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 20)) * np.logspace(0, 2, 20)
    return rows, rng.normal(size=60), rng.uniform(0.5, 2, 20) * (rows**2).sum(axis=0)


def exact(rows, targets, strength, penalty):
    return np.linalg.solve(rows.T @ rows + strength * np.diag(penalty), rows.T @ targets)


def labelled(systems, representation, seed=2, noise=0.0):
    """Structures labelled by random weights of the representation, plus energies of the elements."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=len(ELEMENTS) * representation.n_features)
    result = []
    for system in systems:
        rows = representation.rows(system)
        energy = rows.energy @ weights - 13.0 * (system.numbers == 1).sum() - 430.0 * (system.numbers == 8).sum()
        forces = -(rows.gradient @ weights).reshape(-1, 3)
        stress = rows.virial @ weights / system.measure if system.pbc.all() else None
        result.append(Structure(system, energy + noise * rng.normal(),
                                forces + noise * rng.normal(size=forces.shape), stress))
    return result


def fitter(representation, scales=SCALES, **settings):
    baseline = Baseline(ELEMENTS, np.array([-13.0, -430.0]))
    return Fitter(RowMaker(representation, ELEMENTS, baseline, scales), WEIGHTS, **settings)


def test_both_solvers_solve_the_ridge_equations(problem):
    rows, targets, penalty = problem
    expected = exact(rows, targets, 1e-3, penalty)
    normal = NormalEquations(20)
    for start in (0, 25, 37):
        normal.add(rows[start:{0: 25, 25: 37, 37: 60}[start]], targets[start:{0: 25, 25: 37, 37: 60}[start]])
    assert normal.solve(1e-3, penalty) == pytest.approx(expected, rel=1e-9)
    assert Orthogonal(rows, targets, penalty).solve(1e-3) == pytest.approx(expected, rel=1e-9)
    few = Orthogonal(rows[:7], targets[:7], penalty).solve(1e-3)
    assert few == pytest.approx(exact(rows[:7], targets[:7], 1e-3, penalty), rel=1e-9)


def test_normal_equations_survive_a_solve_and_drop_columns(problem, monkeypatch):
    rows, targets, penalty = problem
    monkeypatch.setattr("ase_lode.training.normal.PANEL", 6)
    normal = NormalEquations(20)
    normal.add(rows[:30], targets[:30])
    normal.solve(1e-2, penalty)
    normal.add(rows[30:], targets[30:])
    near = np.arange(20) % 3 > 0
    weights = normal.solve(1e-3, penalty * near)
    assert not weights[~near].any()
    assert weights[near] == pytest.approx(exact(rows[:, near], targets, 1e-3, penalty[near]), rel=1e-9)
    assert normal.solve(1e-3, penalty) == pytest.approx(exact(rows, targets, 1e-3, penalty), rel=1e-9)


@pytest.mark.parametrize("count", [60, 9])
def test_draws_have_the_posterior_covariance(problem, count):
    rows, targets, penalty = problem[0][:count], problem[1][:count], problem[2]
    covariance = np.linalg.inv(rows.T @ rows + 1e-1 * np.diag(penalty))
    noise = np.random.default_rng(0).normal(size=(40_000, 20))
    normal = NormalEquations(20)
    normal.add(rows, targets)
    normal.solve(1e-1, penalty)
    scale = np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal()))
    for draws in (normal.deviations(noise), Orthogonal(rows, targets, penalty).deviations(1e-1, noise)):
        assert abs((draws.T @ draws / len(draws) - covariance) / scale).max() < 0.03


@pytest.mark.parametrize("count", [60, 12])
def test_leave_one_out_equals_fitting_without(problem, count):
    rows, targets, penalty = problem[0][:count], problem[1][:count], problem[2]
    first = np.arange(0, count + 1, 4)
    errors, sigma = Orthogonal(rows, targets, penalty).leave_out(1e-2, first)
    for start, stop in pairwise(first):
        others = np.r_[0:start, stop:count]
        weights = exact(rows[others], targets[others], 1e-2, penalty)
        covariance = np.linalg.inv(rows[others].T @ rows[others] + 1e-2 * np.diag(penalty))
        block = rows[start:stop]
        assert errors[start:stop] == pytest.approx(block @ weights - targets[start:stop], rel=1e-7)
        assert sigma[start:stop] ** 2 == pytest.approx((block @ covariance @ block.T).diagonal(), rel=1e-7)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("in_memory", [True, False])
def test_recovers_the_weights_that_made_the_data(make_systems, pair_gaussians, periodic, in_memory, monkeypatch):
    if not in_memory:
        monkeypatch.setattr(fit_module, "ORTHOGONAL_ROWS", 0)
    representation = pair_gaussians(ELEMENTS)
    data = labelled(make_systems(60, periodic=periodic), representation)
    test = labelled(make_systems(5, periodic=periodic, seed=9), representation)
    made = fitter(representation)
    result = made.fit(data[:50], data[50:])
    stack = made.maker.stack(test)
    assert np.linalg.norm(stack.residuals(result.weights)) < 1e-3 * np.linalg.norm(stack.targets)
    assert result.errors["forces"] < 0.1 * result.errors_without_fields["forces"]
    assert result.chosen_on == "validation"
    assert [point["structures"] for point in result.curve] == [6, 12, 25, 50]
    assert result.curve[-1]["forces"] < result.curve[0]["forces"]
    assert not result.without_fields[~made.near].any() and result.without_fields.any()


def test_one_structure_is_fitted_exactly(make_systems, pair_gaussians):
    representation = pair_gaussians(ELEMENTS, n_radial=20)
    made = fitter(representation)
    data = labelled(make_systems(1, periodic=True), representation)
    result = made.fit(data, [])
    assert abs(made.maker.stack(data).residuals(result.weights)).max() < 1e-6


def test_same_seed_gives_the_same_bytes(make_systems, pair_gaussians):
    representation = pair_gaussians(ELEMENTS)
    data = labelled(make_systems(20), representation, noise=0.01)
    first, second = (fitter(representation, seed=3).fit(data[:14], data[14:]) for _ in range(2))
    assert (first.weights == second.weights).all() and (first.draws == second.draws).all()


@pytest.mark.parametrize("in_memory", [True, False])
def test_uncertainty_covers_the_errors(make_systems, pair_gaussians, in_memory, monkeypatch):
    if not in_memory:
        monkeypatch.setattr(fit_module, "ORTHOGONAL_ROWS", 0)
    representation = pair_gaussians(ELEMENTS)
    data = labelled(make_systems(80), representation, noise=0.1)
    made = fitter(representation)
    result = made.fit(data[:20], data[20:40])
    stack = made.maker.stack(data[40:])
    errors = abs(stack.residuals(result.weights))
    within = np.sqrt(np.mean((stack.rows @ result.draws.T) ** 2, axis=1))
    within[stack.kinds == 0] *= result.energy_factor
    assert 0.55 < np.mean((errors <= within)[stack.kinds == 1]) < 0.8
    assert 0.4 < np.mean((errors <= within)[stack.kinds == 0]) < 0.92


def test_few_validation_structures_do_not_choose(make_systems, pair_gaussians, monkeypatch):
    representation = pair_gaussians(ELEMENTS)
    data = labelled(make_systems(12), representation, noise=0.01)
    assert fitter(representation).fit(data[:10], data[10:]).chosen_on == "leave-one-out"
    monkeypatch.setattr(fit_module, "ORTHOGONAL_ROWS", 0)
    assert "left out" in fitter(representation).fit(data[:10], data[10:]).chosen_on
    assert [left_out(count) for count in (2, 6, 18, 100)] == [1, 2, 5, 10]


def test_columns_without_signal_get_no_penalty_and_groups_share_theirs():
    result = penalties(np.array([4.0, 0.0, 2.0, 10.0]), np.array([0, 0, 0, 1]))
    assert result.tolist() == [3.0, 0.0, 3.0, 10.0]


def test_walk_finds_the_lowest_point_of_a_grid():
    grid, calls = [10.0**k for k in range(-10, 0)], []
    assert lowest(lambda x: calls.append(x) or abs(np.log10(x) + 8), grid, 1e-6) == pytest.approx(1e-8)
    assert len(calls) == len(set(calls)) <= 5
    assert EXACT_STRENGTH < min(fit_module.ORTHOGONAL_STRENGTHS)


def test_scale_zero_leaves_a_label_out(make_systems, pair_gaussians):
    representation = pair_gaussians(ELEMENTS)
    data = labelled(make_systems(1), representation)[0]
    maker = fitter(representation, Scales(energy=1.0)).maker
    assert maker.count(data) == 1
