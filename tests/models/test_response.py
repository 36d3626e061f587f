"""Responses turn with the structure, are each other's derivatives, obey their sum rules, and say where they end."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError
from ase.units import Bohr
from responses import alone, response
from scipy.spatial.transform import Rotation
from synthetic import bulk, molecule, potential, slab

from ase_lode import LODECalculator, load_potential
from ase_lode.errors import ConfigError, PotentialFileError
from ase_lode.hypers import TARGET_UNITS
from ase_lode.models.potential import Potential
from ase_lode.models.response import ResponseEvaluator, clausius_mossotti, dielectric_tensor
from ase_lode.system import System

#: The ridge, with fields of charges, and the network, with fields of its own.
BOTH = pytest.mark.parametrize("fields", ["charges", "network"], ids=["ridge", "network"])


def calculator(kind, fields="charges", **keywords):
    return LODECalculator(alone(kind, fields), on_extrapolation="ignore", n_threads=1, **keywords)


def charged(charge=1.0):
    atoms = molecule()
    atoms.info["charge"] = charge
    return atoms


def turned(atoms, matrix):
    result = atoms.copy()
    result.positions = atoms.positions @ matrix.T
    result.cell[:] = atoms.cell.array @ matrix.T
    return result


def born(calc, atoms):
    atoms = atoms.copy()
    return calc.get_property("born_effective_charges", atoms)


def differences(calc, atoms, step=1e-3):
    """∂μ_a/∂r_ib by Richardson's central differences of the dipole, (atoms, 3, 3)."""
    result = np.empty((len(atoms), 3, 3))
    for i in range(len(atoms)):
        for b in range(3):
            def at(shift, i=i, b=b):
                moved = atoms.copy()
                moved.positions[i, b] += shift
                return calc.respond(moved)["dipole"]

            slopes = [(at(h) - at(-h)) / (2 * h) for h in (step, step / 2)]
            result[i, :, b] = (4 * slopes[1] - slopes[0]) / 3
    return result


@BOTH
@pytest.mark.parametrize("improper", [False, True])
@pytest.mark.parametrize("kind, atoms", [("molecule", charged()), ("solid", molecule())])
def test_rotation_is_exact(kind, atoms, improper, fields):
    matrix = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix() * (-1 if improper else 1)
    calc = calculator(kind, fields)
    before, after = calc.respond(atoms), calc.respond(turned(atoms, matrix))
    if kind == "molecule":
        assert after["dipole"] == pytest.approx(matrix @ before["dipole"], abs=1e-10)
    assert after["polarizability"] == pytest.approx(matrix @ before["polarizability"] @ matrix.T, abs=1e-10)
    assert np.abs(before["polarizability"] - before["polarizability"][0, 0] * np.eye(3)).max() > 0.01
    expected = matrix @ born(calc, atoms) @ matrix.T
    assert born(calc, turned(atoms, matrix)) == pytest.approx(expected, abs=1e-10)


@BOTH
def test_rotation_of_a_crystal_with_its_cell(fields):
    """Up to the mesh, which does not turn with it."""
    calc, matrix = calculator("liquid", fields, tolerance=1e-8), Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    before, after = (calc.respond(atoms)["dielectric_tensor"] for atoms in (bulk(), turned(bulk(), matrix)))
    assert after == pytest.approx(matrix @ before @ matrix.T, abs=1e-6)


@BOTH
@pytest.mark.parametrize("kind, atoms", [("molecule", charged(-2.0)), ("liquid", molecule()), ("liquid", bulk()),
                                         ("liquid", slab())], ids=["charged", "fixed charges", "bulk", "slab"])
def test_born_charges_are_differences_of_the_dipole(kind, atoms, fields):
    calc = calculator(kind, fields, tolerance=1e-7)
    found = born(calc, atoms)
    size = np.abs(found).max()
    assert size > 0.1 and found == pytest.approx(differences(calc, atoms), abs=1e-6 * max(size, 1.0))


@BOTH
@pytest.mark.parametrize("kind, atoms, charge", [("molecule", charged(), 1.0), ("liquid", bulk(), 0.0),
                                                 ("solid", bulk(), 0.0), ("solid", charged(), 1.0)])
def test_born_charges_sum_to_the_total_charge(kind, atoms, charge, fields):
    assert born(calculator(kind, fields), atoms).sum(axis=0) == pytest.approx(charge * np.eye(3), abs=1e-12)


@BOTH
def test_translation_moves_the_dipole_by_the_charge(fields):
    calc, shift = calculator("molecule", fields), np.array([1.0, -2.0, 0.5])
    for charge in (0.0, 1.0):
        before, moved = charged(charge), charged(charge)
        moved.positions += shift
        change = calc.respond(moved)["dipole"] - calc.respond(before)["dipole"]
        assert change == pytest.approx(charge * shift, abs=1e-10)


@BOTH
def test_fitted_born_charges_have_an_antisymmetric_part(fields):
    found = born(calculator("solid", fields), molecule())
    assert np.abs(found - found.transpose(0, 2, 1)).max() > 0.01


def test_dielectric_tensor_and_its_polarizability():
    calc, atoms = calculator("liquid"), bulk()
    epsilon = calc.get_property("dielectric_tensor", atoms)
    alpha, volume = calc.extras["polarizability"], atoms.get_volume()
    assert alpha == pytest.approx((epsilon - np.eye(3)) * volume / (4 * np.pi))
    again = dielectric_tensor(clausius_mossotti(epsilon, volume), volume)
    assert epsilon == pytest.approx(epsilon.T) and again == pytest.approx(epsilon)
    double = calc.get_property("dielectric_tensor", atoms * (2, 1, 1))
    assert double == pytest.approx(epsilon, abs=1e-4)  # the mesh's default tolerance


@pytest.mark.parametrize("systems", ["all", "isolated"])
def test_a_polarizability_fitted_to_periodic_structures_is_given(systems):
    """Fitted here with the weights of the dielectric tensor, so it is the Clausius-Mossotti polarizability."""
    model, system = response("liquid"), System.from_atoms(bulk())
    weights = {("polarizability", order): model.weights["dielectric_tensor", order] for order in ("0", "2")}
    entry = {**model.targets["dielectric_tensor"], "systems": systems}
    both = replace(model, weights={**model.weights, **weights}, targets={**model.targets, "polarizability": entry})
    found = ResponseEvaluator(both).evaluate(system)
    of_cell = (found.dielectric_tensor - np.eye(3)) * system.measure / (4 * np.pi)
    fitted = clausius_mossotti(found.dielectric_tensor, system.measure)
    assert found.polarizability == pytest.approx(fitted if systems == "all" else of_cell)
    assert np.abs(fitted - of_cell).max() > 0.01


def test_units_are_those_of_ase():
    assert TARGET_UNITS["dipole"]["e*bohr"] == pytest.approx(Bohr)
    assert TARGET_UNITS["polarizability"]["bohr^3"] == pytest.approx(Bohr**3)
    from ase.units import Debye, Hartree

    assert TARGET_UNITS["dipole"]["debye"] == pytest.approx(Debye)
    assert TARGET_UNITS["polarizability"]["e^2*angstrom^2/eV"] == pytest.approx(Hartree * Bohr)


def test_properties_of_a_response_alone():
    calc, atoms = calculator("molecule"), molecule()
    assert calc.implemented_properties == ["dipole", "born_effective_charges"]
    atoms.calc = calc
    dipole = atoms.get_dipole_moment()
    assert set(calc.results) == {"dipole"} and set(calc.extras) == {"polarizability"}
    with pytest.raises(PropertyNotImplementedError, match="response alone.*from another"):
        atoms.get_potential_energy()
    calc.get_property("born_effective_charges", atoms)
    assert set(calc.results) == {"dipole", "born_effective_charges"} and (calc.results["dipole"] == dipole).all()
    predicted, = calc.predict([molecule()], properties=("dipole", "polarizability"))
    assert (predicted["dipole"] == dipole).all() and predicted["polarizability"].shape == (3, 3)
    assert set(calc.predict([molecule()])[0]) == {"dipole", "polarizability"}
    with pytest.raises(PropertyNotImplementedError, match="respond"):
        calc.get_property("polarizability", atoms)


@pytest.mark.parametrize("kind, name", [("molecule", "dipole"), ("molecule", "born_effective_charges")])
def test_what_a_periodic_structure_does_not_define(kind, name):
    with pytest.raises(PropertyNotImplementedError, match="order"):
        calculator(kind).get_property(name, bulk())
    with pytest.raises(PropertyNotImplementedError, match="periodic in all directions"):
        calculator("liquid").get_property("dielectric_tensor", molecule())


def test_energies_and_response_together():
    energies = potential("charges")
    both = Potential(energies.model, energies.weights, energies.baseline, energies.header, response=response())
    calc, atoms = LODECalculator(both, on_extrapolation="ignore", n_threads=1), molecule()
    assert set(calc.implemented_properties) == {"energy", "free_energy", "energies", "forces", "stress", "dipole",
                                                "born_effective_charges"}
    atoms.calc = calc
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert "dipole" not in calc.results
    assert (atoms.get_dipole_moment() == calculator("molecule").respond(molecule())["dipole"]).all()
    plain = LODECalculator(energies, on_extrapolation="ignore", n_threads=1)
    assert energy == plain.get_potential_energy(molecule()) and (forces == plain.get_forces(molecule())).all()
    assert calc.results["energy"] == energy
    atoms.rattle(0.1, seed=3)
    atoms.get_forces()
    assert "dipole" not in calc.results and calc.extras == {}


def test_no_response_no_dipole():
    calc = LODECalculator(potential("charges"), n_threads=1)
    with pytest.raises(ConfigError, match="targets"):
        calc.respond(molecule())
    assert "dipole" not in calc.implemented_properties


@BOTH
@pytest.mark.parametrize("kind", ["molecule", "liquid", "solid"])
def test_file_round_trip(tmp_path, kind, fields):
    path, again = tmp_path / "saved.lode", tmp_path / "again.lode"
    alone(kind, fields).save(path)
    loaded = load_potential(path)
    loaded.save(again)
    assert path.read_bytes() == again.read_bytes()
    atoms = molecule() if kind == "molecule" else bulk()
    found, expected = (p.respond(System.from_atoms(atoms)) for p in (loaded, alone(kind, fields)))
    for name in ("dipole", "polarizability", "dielectric_tensor", "born_effective_charges"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one is None and other is None or (one == other).all()
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("header.json"))["schema"] == 2


@pytest.mark.parametrize("change", [
    lambda model: model.groups["0"].__setitem__((0, 1), 99), lambda model: model.weights.pop(("dipole", "1")),
    lambda model: setattr(model, "mean", model.mean[:, :-1])])
def test_inconsistent_files(tmp_path, change):
    path = tmp_path / "saved.lode"
    alone("molecule").save(path)
    broken = load_potential(path)
    for name in ("groups", "weights"):
        setattr(broken.response, name, dict(getattr(broken.response, name)))
    change(broken.response)
    broken.save(path)
    with pytest.raises(PotentialFileError, match="inconsistent"):
        load_potential(path)


@pytest.mark.parametrize("change", [
    lambda model: setattr(model, "weights", model.weights[:-1]), lambda model: model.targets.pop("dipole"),
    lambda model: setattr(model, "ranges", tuple(bound[:, :-1] for bound in model.ranges))])
def test_inconsistent_files_of_networks(tmp_path, change):
    path = tmp_path / "saved.lode"
    alone("molecule", "network").save(path)
    broken = load_potential(path)
    change(broken.response)
    broken.save(path)
    with pytest.raises(PotentialFileError, match="inconsistent"):
        load_potential(path)
