"""What must not matter (width, mesh, supercell, dummy vectors, threads) and what is known (Madelung constants)."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import reference

from ase_lode.errors import StructureError
from ase_lode.field import DirectExterior, DirectIsolated, EwaldSum, ParticleMesh, background, reach
from ase_lode.field.accuracy import field_size, mesh_error
from ase_lode.system import System, standard_cell

TRICLINIC = np.array([[7.0, 0.0, 0.0], [1.0, 8.0, 0.5], [-2.0, 1.0, 7.5]])
PATTERNS = list(itertools.product((False, True), repeat=3))
ORIGIN = 1 / np.sqrt(4 * np.pi)


def point_field(exponent, width, system, strengths, max_angular=2, reference_length=1.0):
    """Field of point sources: smooth part, remainder, background, without the atom itself."""
    phi, _ = ParticleMesh(exponent, max_angular, width, 1e-8).compute(system, strengths, 1)
    phi = phi + reference.remainder(exponent, max_angular, width, system.positions, system.cell, system.pbc, strengths)
    phi[:, :, 0] -= strengths * reference.self_term(exponent, width)
    if system.pbc.all():
        phi[:, :, 0] += background(exponent, width, reference_length) * strengths.sum(axis=0) / system.measure * ORIGIN
    return phi


@pytest.mark.parametrize("pbc", PATTERNS)
@pytest.mark.parametrize("exponent", range(1, 7))
def test_width_does_not_matter(exponent, pbc):
    generator = np.random.default_rng(exponent)
    system = reference.structure(generator, 5, TRICLINIC, pbc, extent=0.7)
    strengths = generator.normal(size=(5, 1))
    narrow, wide = (point_field(exponent, width, system, strengths) for width in (0.8, 1.1))
    np.testing.assert_allclose(narrow, wide, atol=1e-7 * abs(wide).max(), rtol=0)


@pytest.mark.parametrize("fractions, charges, cell, distance, constant", [
    ([(0, 0, 0), (0.5, 0.5, 0.5)], (1, -1), [(0, 1, 1), (1, 0, 1), (1, 1, 0)], 1.0, 1.74756459),
    ([(0, 0, 0), (0.5, 0.5, 0.5)], (1, -1), [(1, 0, 0), (0, 1, 0), (0, 0, 1)], np.sqrt(3) / 2, 1.76267477),
    ([(0, 0, 0), (0.25, 0.25, 0.25)], (1, -1), [(0, 1, 1), (1, 0, 1), (1, 1, 0)], np.sqrt(3) / 2, 1.63805505),
], ids=["NaCl", "CsCl", "zincblende"])
def test_madelung_constants(fractions, charges, cell, distance, constant):
    scale = 4.0
    cell = scale * np.array(cell, dtype=float)
    system = System(np.ones(2, dtype=int), np.array(fractions) @ cell, cell, np.ones(3, dtype=bool))
    field = point_field(1, 1.0, system, np.array(charges, dtype=float)[:, None])
    potential = field[:, 0, 0] / ORIGIN * scale * distance
    np.testing.assert_allclose(potential, [-constant, constant], atol=1e-6)
    np.testing.assert_allclose(field[:, 0, 1:4], 0, atol=1e-7)


@pytest.mark.parametrize("exponent, sums", [(4, 16.53231596), (6, 8.40192397)])
def test_lattice_sums_of_the_simple_cubic_crystal(exponent, sums):
    system = System(np.ones(1, dtype=int), np.zeros((1, 3)), 3.0 * np.eye(3), np.ones(3, dtype=bool))
    field = point_field(exponent, 0.8, system, np.ones((1, 1)))
    assert field[0, 0, 0] / ORIGIN * 3.0**exponent == pytest.approx(sums, abs=1e-6)


@pytest.mark.parametrize("pbc", [p for p in PATTERNS if not all(p)])
def test_dummy_vectors_do_not_matter(pbc):
    generator = np.random.default_rng(1)
    system = reference.structure(generator, 6, TRICLINIC, pbc, extent=0.7)
    other = TRICLINIC.copy()
    other[~np.array(pbc)] = 50 * generator.normal(size=(3 - sum(pbc), 3))
    strengths, field = generator.normal(size=(6, 1)), ParticleMesh(1, 2, 1.0)
    phi, _ = field.compute(system, strengths, 1)
    again, _ = field.compute(replace(system, cell=standard_cell(other, np.array(pbc))), strengths, 1)
    np.testing.assert_allclose(phi, again, atol=1e-11)


@pytest.mark.parametrize("pbc", PATTERNS)
def test_free_vectors_are_normal_and_turn_smoothly(pbc):
    generator, pbc = np.random.default_rng(2), np.array(pbc)
    before = standard_cell(TRICLINIC, pbc)
    np.testing.assert_allclose(before[~pbc] @ before.T, np.eye(3)[~pbc], atol=1e-14)
    for _ in range(100):
        strain = 1e-3 * generator.normal(size=(3, 3))
        after = standard_cell(TRICLINIC @ (np.eye(3) + strain), pbc)
        assert abs(after - before)[~pbc].max(initial=0.0) < 10 * abs(strain).max()


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, True, False)])
def test_supercell_and_unwrapped_atoms(pbc):
    generator = np.random.default_rng(1)
    system = reference.structure(generator, 6, TRICLINIC, pbc, extent=0.7)
    strengths = generator.normal(size=(6, 1))
    strengths -= strengths.mean()
    repeats = np.where(pbc, 2, 1)
    offsets = np.array(list(itertools.product(*map(range, repeats)))) @ system.cell
    far = generator.integers(-3, 4, size=(6, 3)) * np.array(pbc) @ system.cell
    large = System(np.tile(system.numbers, len(offsets)), (system.positions + far + offsets[:, None]).reshape(-1, 3),
                   system.cell * repeats[:, None], system.pbc)
    field = ParticleMesh(1, 2, 1.0)
    shape = np.array(field.grid(system).shape)
    phi, _ = ParticleMesh(1, 2, 1.0, shape=tuple(shape)).compute(system, strengths, 1)
    field.shape = tuple(shape * repeats)
    again, _ = field.compute(large, np.tile(strengths, (len(offsets), 1)), 1)
    for copy in again.reshape(-1, *phi.shape):
        np.testing.assert_allclose(copy, phi, atol=1e-11)


def test_isolated_field_is_the_limit_of_a_growing_box():
    generator = np.random.default_rng(2)
    molecule = reference.structure(generator, 6, 3.0 * np.eye(3), (False,) * 3)
    strengths = generator.normal(size=(6, 1))
    strengths -= strengths.mean()
    expected, _ = DirectIsolated(1, 1, 1.5).compute(molecule, strengths, 1)
    errors = []
    for length in (32.0, 64.0):
        boxed = replace(molecule, cell=length * np.eye(3), pbc=np.ones(3, dtype=bool))
        phi = ParticleMesh(1, 1, 1.5, 1e-6).compute(boxed, strengths, 1)[0]
        errors.append((phi - expected)[:, :, 1:])
    # The reaction field of a dipole in a cubic box falls as 1/L³.
    assert abs(errors[0]).max() > 2e-5
    np.testing.assert_allclose((8 * errors[1] - errors[0]) / 7, 0, atol=1e-6)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-5, 1e-6, 1e-7])
@pytest.mark.parametrize("exponent, max_angular", [(1, 0), (1, 2), (3, 1), (6, 1)])
def test_mesh_meets_its_tolerance_in_water(exponent, max_angular, tolerance):
    generator = np.random.default_rng(6)
    system, strengths = reference.water(generator, 3)
    fields = [ParticleMesh(exponent, max_angular, 0.85, tolerance), EwaldSum(exponent, max_angular, 0.85)]
    (phi, state), (exact, exact_state) = (field.compute(system, strengths, 1) for field in fields)
    ls = reference.degrees(max_angular)
    sizes = np.array([np.sqrt(np.mean(exact[..., ls == l] ** 2)) for l in ls])
    assert np.sqrt(np.mean(((phi - exact) / sizes) ** 2)) < tolerance
    for l in range(max_angular + 1):
        weights = np.where(ls == l, generator.normal(size=phi.shape), 0)
        gradient, expected = fields[0].pull_back(state, weights, 1)[0], fields[1].pull_back(exact_state, weights, 1)[0]
        assert np.sqrt(np.mean((gradient - expected) ** 2)) < tolerance * np.sqrt(np.mean(expected**2))


@pytest.mark.parametrize("exponent", [1, 3, 6])
@pytest.mark.parametrize("spacing, side", [(0.5, 9.0), (0.3, 9.0), (0.5, 18.0)])
def test_error_estimate(exponent, spacing, side):
    """Dense random charges disturb each other, sparse ones mostly themselves."""
    generator = np.random.default_rng(6)
    system = reference.structure(generator, 200, side * np.eye(3), (True,) * 3)
    strengths = generator.normal(size=(200, 1))
    exact = EwaldSum(exponent, 3, 1.0, 1e-9)
    field = ParticleMesh(exponent, 3, 1.0, shape=(round(side / spacing),) * 3)
    states = [each.compute(system, strengths, 1)[1] for each in (field, exact)]
    for l in (1, 2, 3):
        weights = np.where(reference.degrees(3) == l, generator.normal(size=(200, 1, 16)), 0)
        found, expected = (each.pull_back(state, weights, 1)[0] for each, state in zip((field, exact), states))
        error = np.sqrt(np.sum((found - expected) ** 2) / np.sum(expected**2))
        estimate = mesh_error(exponent, l, field.order, spacing, 200 / side**3) / field_size(exponent, l)
        assert 0.4 < error / estimate < 2.5


def test_reach_leaves_a_remainder_below_the_tolerance():
    for l, expected in enumerate((4.9, 5.5, 6.0, 6.4)):
        assert reach(1e-6, 1, l) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, False)])
def test_one_and_two_threads_give_the_same_bits(pbc):
    generator = np.random.default_rng(7)
    system = reference.structure(generator, 150, 12.0 * np.eye(3), pbc)
    strengths, weights = generator.normal(size=(150, 2)), generator.normal(size=(150, 2, 9))
    fields = [ParticleMesh(1, 2, 1.2)]
    if all(pbc):
        fields.append(EwaldSum(1, 2, 1.5, 1e-6))
    if not any(pbc):
        fields += [DirectIsolated(1, 2, 1.2), DirectExterior(1, 2, 4.0, 1.0)]
    for field in fields:
        results = []
        for n_threads in (1, 2):
            phi, state = field.compute(system, strengths, n_threads)
            results.append((phi, *field.pull_back(state, weights, n_threads)))
        for one, two in zip(*results):
            np.testing.assert_array_equal(one, two)


def test_grid_is_steady_under_small_moves():
    generator = np.random.default_rng(8)
    system = reference.structure(generator, 40, np.diag([10.0, 10.0, 6.0]), (True, True, False))
    field = ParticleMesh(1, 2, 1.0)
    shapes = {field.grid(replace(system, positions=system.positions + generator.normal(scale=0.01, size=(40, 3)))).shape
              for _ in range(10)}
    assert len(shapes) == 1


def test_a_mesh_of_mostly_vacuum_is_refused():
    system = reference.structure(np.random.default_rng(8), 4, 1000 * np.eye(3), (True,) * 3, extent=0.01)
    with pytest.raises(StructureError, match="would need .* points; set atoms.pbc = False"):
        ParticleMesh(1, 2, 1.0).grid(system)
