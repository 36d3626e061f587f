"""The calculator's contract: derivatives, symmetries, continuity, repeatability, and how ASE scripts see it."""

import copy
import itertools
import multiprocessing
import os
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pytest
from ase import Atoms, build, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.stress import full_3x3_to_voigt_6_stress
from scipy.spatial.transform import Rotation
from synthetic import CELL, CHARGES, FIELDS, bulk, energy_and_forces, evaluate_in_child, molecule, potential, slab

from ase_lode import ExtrapolationWarning, LODECalculator
from ase_lode.errors import ConfigError, LODEError, PotentialFileError, StructureError
from ase_lode.models.potential import Potential

STRUCTURES = {"molecule": molecule, "bulk": bulk, "slab": slab}
PATTERNS = list(itertools.product([True, False], repeat=3))
#: Close to direct sums: what is exact apart from the mesh must hold to the tight thresholds.
TIGHT = 1e-9


def calculator(fields="charges", tolerance=1e-5, **keywords):
    """A new calculator."""
    return LODECalculator(potential(fields), tolerance=tolerance, n_threads=1, **keywords)


#: One that other tests have used: a calculator is a pure function of the structure.
used_calculator = lru_cache(calculator)


def richardson(function, step):
    """Derivative of an even-error central difference at 0, fourth order."""
    coarse = (function(step) - function(-step)) / (2 * step)
    fine = (function(step / 2) - function(-step / 2)) / step
    return (4 * fine - coarse) / 3


def same(found, expected, energy, forces):
    """Energies per atom and forces agree."""
    assert abs(found[0] - expected[0]) / len(expected[1]) < energy
    assert np.abs(found[1] - expected[1]).max() < forces


# Derivatives


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("fields", FIELDS)
def test_forces_are_the_gradient_of_the_energy(fields, structure):
    atoms, calc = STRUCTURES[structure](), used_calculator(fields)
    _, forces = energy_and_forces(atoms, calc)
    assert np.abs(forces).max() > 0.1
    for atom, axis in ((0, 0), (3, 1), (6, 2)):
        def energy(step, atom=atom, axis=axis):
            moved = atoms.copy()
            moved.positions[atom, axis] += step
            return energy_and_forces(moved, calc)[0]

        assert forces[atom, axis] == pytest.approx(-richardson(energy, 2e-3), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("structure", ["bulk", "slab"])
@pytest.mark.parametrize("fields", FIELDS)
def test_stress_is_the_derivative_by_strain(fields, structure):
    atoms, calc = STRUCTURES[structure](), calculator(fields)
    calc.pin_mesh(atoms)
    atoms.calc = calc
    stress, volume = atoms.get_stress(voigt=False), abs(np.linalg.det(atoms.cell))
    assert np.abs(stress - stress.T).max() == 0 and np.abs(stress).max() > 1e-3
    for a, b in itertools.combinations_with_replacement(range(3), 2):
        def energy(step, a=a, b=b):
            strain = np.eye(3)
            strain[a, b] += step / 2
            strain[b, a] += step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell @ strain, scale_atoms=False)
            strained.positions = atoms.positions @ strain
            return energy_and_forces(strained, calc)[0]

        assert stress[a, b] == pytest.approx(richardson(energy, 2e-3) / volume, rel=1e-5, abs=1e-6)


def test_voigt_order_sign_and_pressure():
    atoms = bulk()
    atoms.calc = calculator()
    stress = atoms.get_stress()
    full = atoms.get_stress(voigt=False)
    assert stress.tolist() == full_3x3_to_voigt_6_stress(full).tolist()
    assert stress.tolist() == full[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]].tolist()
    # Strongly compressed atoms push outwards: pressure is positive, stress (tension positive) negative.
    squeezed = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.5]], cell=[9, 9, 9], pbc=True)
    short = potential("short")
    repulsive = Potential(short.model, np.zeros_like(short.weights), short.baseline, short.header)
    squeezed.calc = LODECalculator(repulsive)
    assert squeezed.get_stress()[2] < 0 and np.abs(squeezed.get_stress()[3:]).max() < 1e-12


# Symmetries


def turned(atoms, rotation, shift):
    other = atoms.copy()
    other.set_cell(atoms.cell.array @ rotation.T)
    other.positions = atoms.positions @ rotation.T + shift
    return other


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("fields", FIELDS)
def test_rotation_and_translation(fields, structure):
    atoms, rotation = STRUCTURES[structure](), Rotation.random(rng=np.random.default_rng(3)).as_matrix()
    calc = used_calculator(fields, TIGHT)
    energy, forces = energy_and_forces(atoms, calc)
    found = energy_and_forces(turned(atoms, rotation, [0.3, -1.7, 2.9]), calc)
    limits = (1e-9, 1e-8) if structure == "molecule" else (1e-8, 1e-6)
    same(found, (energy, forces @ rotation.T), *limits)


@pytest.mark.parametrize("structure", ["bulk", "slab"])
def test_translation_at_the_default_tolerance(structure):
    """1e-6 eV/atom, forces to 1e-5 of their size; a hundred times less at a hundred times tighter tolerance."""
    atoms = STRUCTURES[structure]()
    moved = turned(atoms, np.eye(3), [0.31, -1.73, 2.91])
    for tolerance, factor in ((1e-5, 1.0), (1e-7, 0.01)):
        calc = used_calculator("charges", tolerance)
        energy, forces = energy_and_forces(atoms, calc)
        size = np.sqrt(np.mean(forces**2))
        # Half of this potential's forces come from its field, far more than in a fitted one.
        same(energy_and_forces(moved, calc), (energy, forces), 1e-6 * factor, 1e-4 * factor * size)
        assert np.abs(forces.sum(axis=0)).max() < 1e-4 * factor * size


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("fields", ["two", "full", "network"])
def test_inversion_and_permutation(fields, structure):
    atoms, calc = STRUCTURES[structure](), used_calculator(fields)
    energy, forces = energy_and_forces(atoms, calc)
    order = np.random.default_rng(0).permutation(len(atoms))
    same(energy_and_forces(atoms[order], calc), (energy, forces[order]), 1e-10, 1e-10)
    same(energy_and_forces(turned(atoms, -np.eye(3), 0.0), calc), (energy, -forces), 1e-10, 1e-10)


@pytest.mark.parametrize("pbc", PATTERNS)
@pytest.mark.parametrize("fields", ["charges", "two", "network"])
def test_supercells(fields, pbc):
    atoms, calc = bulk(), used_calculator(fields, TIGHT)
    atoms.pbc = pbc
    energy, forces = energy_and_forces(atoms, calc)
    for axis in np.flatnonzero(pbc):
        repeats = np.ones(3, int)
        repeats[axis] = 2
        found = energy_and_forces(atoms * repeats, calc)
        same(found, (2 * energy, np.tile(forces, (2, 1))), 1e-8, 1e-6)


@pytest.mark.parametrize("pbc", PATTERNS)
@pytest.mark.parametrize("fields", ["charges", "elements", "full charges"])
def test_what_must_not_matter(fields, pbc):
    """Other cell vectors of the same crystal, atoms outside the cell, vectors along free directions."""
    atoms, calc = bulk(), used_calculator(fields, TIGHT)
    atoms.pbc = pbc
    expected = energy_and_forces(atoms, calc)
    outside = atoms.copy()
    outside.positions += (np.random.default_rng(0).integers(-2, 3, (8, 3)) * np.array(pbc)) @ CELL
    dummies = atoms.copy()
    dummies.cell[~np.array(pbc)] = [[7.0, -3.0, 40.0]]
    for other in (outside, dummies):
        same(energy_and_forces(other, calc), expected, 1e-9, 1e-8)
    if sum(pbc) > 1:
        first, second = np.flatnonzero(pbc)[:2]
        sheared = atoms.copy()
        sheared.cell[first] += sheared.cell[second]
        same(energy_and_forces(sheared, calc), expected, 1e-8, 1e-6)


def test_isolated_molecules_feel_no_net_force_and_no_torque():
    for fields in FIELDS:
        atoms = molecule(9)
        _, forces = energy_and_forces(atoms, used_calculator(fields))
        assert np.abs(forces.sum(axis=0)).max() < 1e-9 * len(atoms)
        assert np.abs(np.cross(atoms.positions, forces).sum(axis=0)).max() < 1e-8


@pytest.mark.parametrize("fields", FIELDS)
def test_an_isolated_atom_has_its_reference_energy(fields):
    calc = used_calculator(fields)
    for symbol, energy in zip(["H", "C", "O"], calc.potential.baseline.energies):
        atoms = Atoms(symbol, positions=[[3.0, -2.0, 1.0]], info={"charge": 0.0})
        found, forces = energy_and_forces(atoms, calc)
        assert found == pytest.approx(energy, abs=1e-9) and np.abs(forces).max() < 1e-9


# Continuity


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("fields", ["short", "two", "full charges"])
def test_energy_and_forces_are_continuous_through_every_cutoff(fields, periodic):
    atoms = Atoms("HOC", positions=[[0, 0, 0], [0.2, 0.1, 0.9], [1.3, 0.2, 0.3]], cell=[11, 12, 22], pbc=periodic)
    calc = used_calculator(fields)
    direction = np.array([0.36, 0.48, 0.8])

    def at(distance):
        moved = atoms.copy()
        moved.positions[1] = distance * direction
        energy, forces = energy_and_forces(moved, calc)
        return energy, forces[1] @ direction

    reach = calc._evaluator.representation.cutoff
    for edge in (1.2, 1.25, 1.75, 2.25, 2.5, 3.15, 3.5, 0.9 * reach, reach, reach + 1.0):
        step = 1e-10 * edge
        (before, pull), (after, push) = at(edge - step), at(edge + step)
        assert abs(after - before) < 1e-8 and abs(push - pull) < 1e-7
    for distance in np.linspace(0.9, 8.0, 12):
        slope = richardson(lambda step, distance=distance: at(distance + step)[0], 1e-3)
        assert at(distance)[1] == pytest.approx(-slope, rel=1e-6, abs=1e-6)


# Errors


def test_unknown_elements():
    with pytest.raises(StructureError, match=r"Elements U, Xe.*not in the model.*H, C, O.*use a potential"):
        energy_and_forces(Atoms("HXeU", positions=np.eye(3) * 2), calculator())


def test_values_that_are_not_finite():
    for value in (np.nan, np.inf):
        atoms = bulk()
        atoms.positions[3, 1] = value
        with pytest.raises(StructureError, match=r"Positions are not finite .first at atom 3."):
            energy_and_forces(atoms, calculator())
        atoms = bulk()
        atoms.cell[1, 1] = value
        with pytest.raises(StructureError, match="cell is not finite"):
            energy_and_forces(atoms, calculator())
    isolated = molecule()
    isolated.cell[0, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        energy_and_forces(isolated, calculator())


@pytest.mark.parametrize("pbc", [(False, False, False), (True, False, False), (True, True, False), (True, True, True)])
@pytest.mark.parametrize("distance", [1e9, 1e300])
def test_distances_beyond_double_precision(distance, pbc):
    atoms = bulk()
    atoms.pbc = pbc
    atoms.positions[3] += distance
    with pytest.raises(StructureError, match="Atom 3 is more than 1e.07 Å from the origin; move.*remove"):
        energy_and_forces(atoms, calculator())


@pytest.mark.parametrize("length", [1e9, 1e150, 1e300])
@pytest.mark.parametrize("thin", [True, False])
def test_cells_beyond_double_precision(length, thin):
    """A search for neighbours along a thin one would take all memory."""
    atoms = bulk()
    atoms.cell[2] = [0, 0, length]
    if not thin:
        atoms.cell[:] = length * np.eye(3)
    with pytest.raises(StructureError, match="periodic vector of more than 1e.07 Å; set atoms.pbc = False"):
        energy_and_forces(atoms, calculator())


@pytest.mark.parametrize("vectors", [np.zeros((3, 3)), np.diag([5.0, 5.0, 0.0]), np.outer([1, 2, 3], [1, 1, 1]) * 2.0,
                                     [[5, 0, 0], [0, 5, 0], [0, 5, 1e-9]]])
def test_singular_cells(vectors):
    atoms = Atoms("HO", positions=[[0, 0, 0], [0, 0, 1]], cell=vectors, pbc=True)
    with pytest.raises(StructureError, match=r"zero or singular.*set atoms.cell"):
        energy_and_forces(atoms, calculator())


def test_no_atoms():
    with pytest.raises(StructureError, match="no atoms; give at least one"):
        energy_and_forces(Atoms(cell=[4, 4, 4], pbc=True), calculator())


def test_full_fields_say_which_periodicity_they_need():
    from ase_lode.hypers import ModelConfig

    model = {"elements": ["H", "C", "O"], "density": {"cutoff": 3.0, "max_radial": 2, "max_angular": 1},
             "fields": [{"exponent": 6, "max_angular": 0, "near_field": "full", "sources": "elements"}]}
    from ase_lode.features.representation import Representation
    from ase_lode.system import System

    with pytest.raises(StructureError, match=r"fully periodic or an isolated system; use exponent 1 or .*exterior"):
        Representation(ModelConfig.model_validate(model).resolved()).compute(System.from_atoms(slab()))


@pytest.mark.parametrize("keywords, words", [
    ({"charge": "a"}, "charge must be a number"), ({"skin": None}, "skin must be a distance"),
    ({"skin": "1"}, "skin must be a number"),
    ({"skin": -1.0}, "skin must be a distance"), ({"skin": np.nan}, "skin must be a distance"),
    ({"n_threads": 0}, "n_threads must be a whole number"), ({"n_threads": 1.5}, "n_threads must be a whole number"),
    ({"on_extrapolation": "panic"}, "on_extrapolation must be warn, stop or ignore"),
    ({"tolerance": 1.0}, "tolerance must lie between"), ({"tolerance": 1e-13}, "tolerance must lie between"),
    ({"tolerance": 1e-11}, "tolerance must lie between"), ({"charge": np.nan}, "charge"),
    ({"uncertainty": True}, "carries no uncertainty; leave uncertainty out")])
def test_keywords_out_of_range(keywords, words):
    with pytest.raises(ConfigError, match=words):
        LODECalculator(potential("charges"), **keywords)


def test_charges_that_are_not_numbers():
    atoms = molecule()
    for charge in (np.nan, np.inf, "minus one", None):
        atoms.info["charge"] = charge
        with pytest.raises(StructureError, match=r"charge.*atoms.info"):
            energy_and_forces(atoms, calculator())


def test_potentials_that_do_not_exist(tmp_path):
    for name in ("no such potential", tmp_path, tmp_path / "missing.lode"):
        with pytest.raises(PotentialFileError, match="There is no potential"):
            LODECalculator(name)


def test_coincident_atoms_warn_or_stop_or_pass():
    atoms = molecule()
    atoms.positions[1] = atoms.positions[0]
    with pytest.warns(ExtrapolationWarning, match="coincident"):
        energy, forces = energy_and_forces(atoms, calculator())
    assert np.isfinite(energy) and np.isfinite(forces).all()
    with pytest.raises(StructureError, match="coincident"):
        energy_and_forces(atoms, calculator(on_extrapolation="stop"))
    energy_and_forces(atoms, calculator(on_extrapolation="ignore"))
    far = molecule(2)
    far.positions = [[0, 0, 0], [0, 0, 0.05]]
    with pytest.warns(ExtrapolationWarning, match="0.05 Å apart"):
        energy_and_forces(far, calculator())


def test_extrapolation_warns_stops_or_passes():
    trained = potential("charges", posterior=True)
    inside = LODECalculator(trained, on_extrapolation="stop", n_threads=1)
    energy_and_forces(bulk(), inside)
    dense = bulk()
    dense.set_cell(dense.cell * 0.7, scale_atoms=True)
    with pytest.raises(StructureError, match=r"outside the training data.*do not trust"):
        energy_and_forces(dense, inside)
    with pytest.warns(ExtrapolationWarning, match="outside the training data"):
        energy_and_forces(dense, LODECalculator(trained))


# Repeatability


def test_same_input_same_bits_whatever_came_before():
    for fields in FIELDS:
        used = calculator(fields)
        rng = np.random.default_rng(0)
        for atoms in (bulk(), molecule(), slab()):
            fresh = energy_and_forces(atoms, calculator(fields))
            for other in (molecule(5), bulk(9), slab(), atoms):
                near = other.copy()
                near.positions += rng.normal(scale=0.2, size=near.positions.shape)
                near.set_cell(near.cell * 1.01)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ExtrapolationWarning)
                    energy_and_forces(near, used)
            again = energy_and_forces(atoms, used)
            assert again[0] == fresh[0] and (again[1] == fresh[1]).all()


@pytest.mark.parametrize("skin", [0.0, 0.3, 2.0])
def test_the_skin_changes_nothing(skin):
    path = [bulk()]
    for _ in range(6):
        path.append(path[-1].copy())
        path[-1].rattle(0.1, seed=len(path))
        path[-1].set_cell(path[-1].cell * 1.004, scale_atoms=True)
    calc = calculator("two", skin=skin)
    for atoms in path:
        found, expected = energy_and_forces(atoms, calc), energy_and_forces(atoms, calculator("two"))
        assert found[0] == expected[0] and (found[1] == expected[1]).all()


@pytest.mark.parametrize("fields", FIELDS)
def test_one_and_two_threads_give_the_same_bits(fields):
    for atoms in (bulk() * (3, 2, 2), molecule(80)):
        results = []
        for n_threads in (1, 2):
            calc = LODECalculator(potential(fields), n_threads=n_threads, on_extrapolation="ignore")
            atoms.calc = calc
            results.append((atoms.get_potential_energy(), atoms.get_forces(), calc.results["energies"],
                            calc.results.get("stress", np.zeros(6))))
        for one, two in zip(*results):
            assert np.array_equal(one, two)


def test_copies_give_the_same_bits(tmp_path):
    atoms, calc = bulk(), calculator("two")
    expected = energy_and_forces(atoms, calc)
    calc.potential.save(tmp_path / "two.lode")
    loaded = LODECalculator(tmp_path / "two.lode", n_threads=1)
    for other in (copy.copy(calc), copy.deepcopy(calc), pickle.loads(pickle.dumps(calc)), loaded):
        assert other is not calc
        energy_and_forces(molecule(), other)
        found = energy_and_forces(atoms, other)
        assert found[0] == expected[0] and (found[1] == expected[1]).all()
    again = energy_and_forces(atoms, calc)
    assert again[0] == expected[0] and (again[1] == expected[1]).all()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes_give_the_same_bits(method):
    atoms = bulk() * (3, 2, 2)
    calc = LODECalculator(potential("charges"), n_threads=2)
    expected = energy_and_forces(atoms, calc)  # the pool of threads exists before the fork
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        found = pool.submit(evaluate_in_child, atoms, calc).result(timeout=120)
    assert found[0] == expected[0] and (found[1] == expected[1]).all()


def test_four_python_threads_give_the_same_bits():
    structures = [bulk() * (2, 2, 2), slab() * (2, 2, 1), molecule(9), bulk(7) * (2, 2, 1)] * 4
    shared = potential("charges")
    one = LODECalculator(shared, n_threads=1)
    expected = [energy_and_forces(atoms, one) for atoms in structures]

    def work(atoms):
        return energy_and_forces(atoms, LODECalculator(shared, n_threads=2))

    with ThreadPoolExecutor(4) as pool:
        for found, reference in zip(pool.map(work, structures), expected):
            assert found[0] == reference[0] and (found[1] == reference[1]).all()


def test_one_potential_in_four_python_threads():
    """The potential itself evaluates structures of different cells side by side."""
    from ase_lode.system import System

    shared = potential("two")
    systems = [System.from_atoms(atoms) for atoms in (bulk(), slab(), molecule(9), bulk(7))] * 10
    expected = [shared.evaluate(system).energy for system in systems]
    with ThreadPoolExecutor(4) as pool:
        assert [evaluation.energy for evaluation in pool.map(shared.evaluate, systems)] == expected


def test_global_state_is_left_alone():
    from threadpoolctl import threadpool_info

    def state():
        numpy_state = np.random.get_state()  # noqa: NPY002  the global state is what must not change
        pools = sorted((pool["user_api"], pool["num_threads"]) for pool in threadpool_info())
        return (numpy_state[1].tolist(), numpy_state[2], list(warnings.filters), np.geterr(), np.get_printoptions(),
                dict(os.environ), pools)

    energy_and_forces(bulk(), calculator("two"))
    before = state()
    energy_and_forces(bulk(), LODECalculator(potential("two"), n_threads=2))
    energy_and_forces(molecule(), calculator("full"))
    assert state() == before


def resident():
    """Resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
@pytest.mark.parametrize("steps", [400, pytest.param(4000, marks=pytest.mark.slow)])
def test_memory_does_not_grow(steps):
    """Below 1 kB a step over a path that keeps leaving the neighbour list's skin and changes the cell."""
    atoms, calc = bulk(), calculator("charges")
    rng = np.random.default_rng(0)
    start = atoms.copy()
    sizes = []
    for step in range(steps):
        atoms.positions = start.positions + rng.normal(scale=0.05, size=start.positions.shape)
        atoms.set_cell(start.cell * (1 + 0.002 * rng.normal()))
        energy_and_forces(atoms, calc)
        if step >= steps // 4:
            sizes.append(resident())
    # The median of the last quarter against the first: allocator noise is a few pages.
    quarter = len(sizes) // 4
    growth = np.median(sizes[-quarter:]) - np.median(sizes[:quarter])
    assert growth < 1000 * 0.75 * len(sizes)


# ASE


def test_plain_scripts(tmp_path):
    from ase.io import read
    from ase.io.trajectory import Trajectory
    from ase.md.verlet import VelocityVerlet
    from ase.optimize import BFGS

    atoms = bulk()
    atoms.calc = calculator("two")
    energy = atoms.get_potential_energy()
    assert energy == atoms.get_potential_energy(force_consistent=True) == atoms.get_total_energy()
    assert atoms.get_forces().shape == (8, 3) and atoms.get_stress().shape == (6,)
    assert atoms.get_potential_energies().sum() == pytest.approx(energy)
    atoms.write(tmp_path / "a.extxyz")
    back = read(tmp_path / "a.extxyz")
    assert back.get_potential_energy() == pytest.approx(energy)
    assert back.get_stress() == pytest.approx(atoms.get_stress())
    with Trajectory(tmp_path / "a.traj", "w", atoms) as trajectory, VelocityVerlet(atoms, 0.2 * units.fs) as md:
        md.attach(trajectory)
        md.run(3)
    assert len(read(tmp_path / "a.traj", ":")) == 4
    assert read(tmp_path / "a.traj").get_potential_energy() == atoms.get_potential_energy()
    mol = molecule()
    mol.calc = calculator("short")
    with BFGS(mol, logfile=None) as optimizer:
        optimizer.run(fmax=0.5, steps=5)
    mol.set_constraint(FixAtoms([0]))
    assert not mol.get_forces()[0].any() and mol.get_forces(apply_constraint=False)[0].any()


def test_one_evaluation_serves_all_properties(monkeypatch):
    atoms, calls = bulk(), []
    atoms.calc = calculator()
    original = atoms.calc._evaluate
    monkeypatch.setattr(atoms.calc, "_evaluate", lambda *arguments: calls.append(1) or original(*arguments))
    atoms.get_potential_energy()
    atoms.get_forces()
    atoms.get_stress()
    atoms.get_potential_energies()
    atoms.set_initial_charges(np.ones(8))
    atoms.set_initial_magnetic_moments(np.ones(8))
    atoms.set_momenta(np.ones((8, 3)))
    atoms.get_potential_energy()
    assert len(calls) == 1
    atoms.positions[0, 0] += 0.1
    atoms.get_potential_energy()
    assert len(calls) == 2


def test_the_charge_comes_from_the_structure_or_the_keyword():
    atoms = molecule()
    atoms.calc = calculator("charges")
    energies = {}
    for charge in (0, 1, -1):
        atoms.info["charge"] = charge
        energies[charge] = atoms.get_potential_energy()
    assert len(set(energies.values())) == 3
    del atoms.info["charge"]
    assert atoms.get_potential_energy() == energies[0]
    atoms.calc = calculator("charges", charge=1)
    assert atoms.get_potential_energy() == energies[1]
    atoms.info["charge"] = -1
    assert atoms.get_potential_energy() == energies[1]


def test_what_is_not_given_is_refused():
    atoms = molecule()
    atoms.calc = calculator()
    for ask in (atoms.get_dipole_moment, atoms.get_magnetic_moments, atoms.get_charges, atoms.get_stresses,
                atoms.get_stress):
        with pytest.raises(PropertyNotImplementedError):
            ask()
    with pytest.raises(PropertyNotImplementedError, match="Stress needs a periodic structure"):
        atoms.get_stress()
    energy = atoms.get_potential_energy()
    assert np.isfinite(energy)
    assert set(calculator().implemented_properties) == {"energy", "free_energy", "energies", "forces", "stress"}


@pytest.mark.parametrize("name", ["water", "water-clusters-response"])
def test_responses_that_are_not_given_are_refused(name):
    calc = LODECalculator(name)
    for ask in (calc.calculate, lambda atoms, names: calc.get_property(names[0], atoms)):
        with pytest.raises(PropertyNotImplementedError):
            ask(build.molecule("H2O"), ["dipole"])
    with pytest.raises(PropertyNotImplementedError, match=f"'{name}' gives no dipole"):
        calc.calculate(build.molecule("H2O"), ["dipole"])


def test_predict_takes_lists():
    with pytest.raises(ConfigError, match="in a list"):
        LODECalculator("water").predict(build.molecule("H2O"))
    with pytest.raises(ConfigError, match="in a list"):
        LODECalculator("water").predict([build.molecule("H2O")], "energy")


def test_responses_of_no_ground_state_warn_or_stop():
    """Hydrogen alone, which the potential of water does not know."""
    with pytest.warns(ExtrapolationWarning, match="not positive"):
        LODECalculator("water-clusters-response").respond(build.molecule("H2"))
    with pytest.raises(StructureError, match="not positive"):
        LODECalculator("water-clusters-response", on_extrapolation="stop").respond(build.molecule("H2"))


def test_exported_properties_and_results_are_ases():
    atoms = bulk()
    atoms.calc = calculator()
    atoms.get_forces()
    frozen = SinglePointCalculator(atoms, **atoms.calc.results)
    assert dict(frozen.export_properties())
    exported = atoms.calc.export_properties()
    assert set(exported) == {"natoms", "energy", "free_energy", "energies", "forces", "stress"}


def test_changing_results_does_not_change_the_calculator():
    atoms = bulk()
    atoms.calc = calculator()
    forces = atoms.get_forces()
    expected = forces.copy()
    forces[:] = 0
    assert (atoms.get_forces() == expected).all()
    stress = atoms.get_stress()
    stress[:] = 0
    assert atoms.get_stress().any()


def test_predictions_keep_the_order_and_leave_structures_alone():
    calc = calculator("two")
    structures = [bulk(), molecule(), slab(), molecule(5)]
    before = [atoms.copy() for atoms in structures]
    predictions = calc.predict(iter(structures), properties=("energy", "forces", "stress"))
    assert [set(p) for p in predictions] == [{"energy", "forces", "stress"}, {"energy", "forces"},
                                             {"energy", "forces", "stress"}, {"energy", "forces"}]
    for atoms, copied, prediction in zip(structures, before, predictions):
        assert atoms == copied and atoms.calc is None
        expected = energy_and_forces(atoms, calc)
        assert prediction["energy"] == expected[0] and (prediction["forces"] == expected[1]).all()
    assert calc.predict([]) == []
    with pytest.raises(ConfigError, match=r"Properties dipole.*choose from energy"):
        calc.predict(structures, properties=("energy", "dipole"))
    with pytest.raises(ConfigError, match="energy_uncertainty"):
        calc.predict(structures, properties=("energy_uncertainty",))


def test_uncertainties_are_extras():
    atoms = bulk()
    calc = LODECalculator(potential("charges", posterior=True), uncertainty=True, n_threads=1)
    atoms.calc = calc
    atoms.get_forces()
    assert set(calc.extras) == {"energy_uncertainty", "forces_uncertainty"}
    assert calc.extras["energy_uncertainty"] > 0 and calc.extras["forces_uncertainty"].shape == (8, 3)
    assert "energy_uncertainty" not in calc.results
    (prediction,) = calc.predict([atoms], properties=("energy_uncertainty",))
    assert prediction == {"energy_uncertainty": calc.extras["energy_uncertainty"]}


def test_a_failed_call_leaves_no_results_behind():
    atoms, calc = bulk(), calculator()
    atoms.calc = calc
    good = atoms.get_potential_energy()
    atoms.positions[0, 0] = np.nan
    for _ in range(2):
        with pytest.raises(LODEError, match="finite"):
            atoms.get_potential_energy()
    atoms.positions = bulk().positions
    assert atoms.get_potential_energy() == good


def test_a_pinned_mesh_is_state():
    atoms, calc = bulk(), calculator("two", on_extrapolation="ignore")
    atoms.calc = calc
    calc.pin_mesh(atoms)
    state = calc.get_state()
    assert all(shape is not None for shape in state["mesh"])
    grown = atoms.copy()
    grown.set_cell(atoms.cell * 1.3, scale_atoms=True)
    expected = energy_and_forces(grown, calc)
    other = calculator("two", on_extrapolation="ignore")
    other.set_state(state)
    found = energy_and_forces(grown, other)
    assert found[0] == expected[0] and (found[1] == expected[1]).all()
    assert energy_and_forces(grown, calculator("two"))[0] != expected[0]
    older = calculator("two", on_extrapolation="ignore")
    older.set_state({"mesh": state["mesh"]})  # of a checkpoint from before there was a choice of reaches
    assert older.get_state()["reach"] == [1.0] * len(state["mesh"])
    other.release_mesh()
    assert energy_and_forces(grown, other)[0] == energy_and_forces(grown, calculator("two"))[0]


def test_a_cell_that_outgrows_its_pinned_mesh():
    atoms, calc = bulk(), calculator()
    atoms.calc = calc
    calc.pin_mesh(atoms)
    for scale in (0.9, 1.03):
        atoms.set_cell(CELL * scale, scale_atoms=True)
        atoms.get_potential_energy()
    atoms.set_cell(CELL * 1.4, scale_atoms=True)
    with pytest.warns(ExtrapolationWarning, match="outgrown the pinned particle mesh.*pin_mesh"):
        atoms.get_potential_energy()
    calc.pin_mesh(atoms)
    atoms.get_forces()
    calc.release_mesh()
    assert calc.get_state() == {"mesh": [None], "reach": [None]}
    atoms.get_forces()


# Sums without a limit


def trained_on(fields, *periodicities):
    known = potential(fields)
    return Potential(known.model, known.weights, known.baseline,
                     {**known.header, "data": {"periodicities": list(periodicities)}})


@pytest.mark.parametrize("fields, quiet", [
    ("full", ["FFF", "TTT"]), ("elements", ["FFF", "TFF", "TTF", "TTT"]), ("charges", ["FFF", "TFF", "TTF", "TTT"])])
def test_periodicities_that_were_not_trained_on(fields, quiet):
    """Sums that converge, or charges that sum to zero, have one limit in all periodicities; others do not."""
    for pattern in ("FFF", "TFF", "FTF", "TTF", "TTT"):
        atoms = bulk()
        atoms.pbc = [letter == "T" for letter in pattern]
        calc = LODECalculator(trained_on(fields, "TTT"))
        if pattern.count("T") in {known.count("T") for known in quiet}:
            energy_and_forces(atoms, calc)
        else:
            with pytest.warns(ExtrapolationWarning, match="not trained on this periodicity, and it matters.*charges"):
                energy_and_forces(atoms, calc)


@pytest.mark.parametrize("structure", [bulk, slab])
def test_charged_periodic_systems(structure):
    atoms, isolated = structure(), molecule()
    isolated.info["charge"] = atoms.info["charge"] = 1.0
    energy_and_forces(isolated, calculator())
    with pytest.warns(ExtrapolationWarning, match="charged periodic system.*depends on the cell"):
        energy_and_forces(atoms, calculator())
    with pytest.raises(StructureError, match="compare energies in one cell only"):
        energy_and_forces(atoms, calculator(on_extrapolation="stop"))


def test_charges_are_shifted_to_the_total():
    """Moving every atom's charge by the same amount changes nothing: only differences are the model's."""
    shifted = potential("charges")
    field = shifted.model.fields[0]
    moved = field.model_copy(update={"charges": {symbol: charge + 0.5 for symbol, charge in CHARGES.items()}})
    other = Potential(shifted.model.model_copy(update={"fields": [moved]}), shifted.weights, shifted.baseline,
                      shifted.header)
    atoms = bulk()
    found, expected = (energy_and_forces(atoms, LODECalculator(either)) for either in (other, shifted))
    same(found, expected, 1e-10, 1e-9)
