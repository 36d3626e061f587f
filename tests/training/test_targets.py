"""Responses from files to a potential: keys, units, origins, refusals, and models that learn what was put in."""

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.io import write
from bond_rules import TARGETS, born, dipole, polarizability, water, write_structures
from synthetic import bulk, molecule, scatter

from ase_lode import LODECalculator, load_potential, train
from ase_lode.errors import ConfigError, DataError
from ase_lode.hypers import FileConfig, TargetConfig, TrainConfig, UnitsConfig, read_config
from ase_lode.training import evaluate
from ase_lode.training.dataset import read_structures, refuse_undefined

CHARGES = {"H": 0.4, "O": -0.8}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_structures(tmp_path_factory.mktemp("targets") / "data.xyz")


def settings(data, targets, **changes):
    return {"schema": 1, "model": {"density": {"cutoff": 3.5, "max_radial": 5, "max_angular": 3}, **changes},
            "data": {"train": {"file": str(data), "energy": None, "forces": None, "isolated": True},
                     "validation": {"fraction": 0.15}},
            "targets": targets, "response": {"channels": 8, "scalars": 4, "features": 64},
            "output": {"name": "learned", "directory": str(data.parent / "out")}}


@pytest.fixture(scope="module")
def learned(data):
    field = {"exponent": 1, "max_angular": 1}
    return train(settings(data, TARGETS, fields=[field], charges=CHARGES), quiet=True)


def test_a_response_is_learned(learned, data):
    """Blind to the geometry 100 % are left of the rules.

    The polarizability is that of single bonds, which five radial functions to 3.5 Å do not tell apart from the other
    molecule: they leave 4 % of its spread, eight functions without scalars 2.4 %.
    """
    potential, report = learned
    errors = report["errors"]["validation"]
    assert errors["dipole"]["percent_of_spread"] < 2 and errors["polarizability"]["percent_of_spread"] < 5
    assert errors["dipole"]["unit"] == "e·Å" and errors["polarizability"]["unit"] == "Å³"
    assert report["force_check"]["of"] == "Born charges" and report["force_check"]["relative_deviation"] < 1e-6
    assert report["targets"]["dipole"]["read_as"].startswith("times 0.529177")
    atoms = water(100)
    atoms.calc = LODECalculator(potential, n_threads=1)
    assert atoms.get_dipole_moment() == pytest.approx(dipole(atoms), abs=0.05)
    assert atoms.calc.extras["polarizability"] == pytest.approx(polarizability(atoms), abs=0.2)
    page = (data.parent / "out" / "report.html").read_text()
    assert "Dipole, per atom" in page and "Polarizability" in page and "e*bohr" in page
    written = yaml.safe_load((data.parent / "out" / "metrics.yaml").read_text())
    assert written["errors"]["validation"]["dipole"] == errors["dipole"]


def test_eval_reads_keys_and_units_of_the_training(learned, data):
    result = evaluate(learned[0], data)
    assert set(result["errors"]) == {"dipole", "polarizability"}
    assert result["errors"]["dipole"]["percent_of_spread"] < 2
    with pytest.raises(DataError, match="No label"):
        evaluate(learned[0], data, response=False)


def test_the_same_training_the_same_bytes(learned, data):
    field = {"exponent": 1, "max_angular": 1}
    again, _ = train(settings(data, TARGETS, fields=[field], charges=CHARGES), quiet=True)
    assert again.sha256 == learned[0].sha256


def test_born_charges_are_learned(data):
    potential, report = train(settings(data, {"born_effective_charges": {"key": "zeff"}}), quiet=True)
    assert report["errors"]["validation"]["born_effective_charges"]["rmse"] < 0.02
    atoms = water(100)
    found = LODECalculator(potential, n_threads=1).get_property("born_effective_charges", atoms)
    assert found == pytest.approx(born(atoms), abs=0.08)
    calc = LODECalculator(potential, n_threads=1)
    assert (calc.respond(atoms)["born_effective_charges"] == found).all()
    (predicted,) = calc.predict([atoms])
    assert (predicted["born_effective_charges"] == found).all()
    assert found.sum(axis=0) == pytest.approx(np.zeros((3, 3)), abs=1e-12)


def test_energies_and_responses_in_one_file(data):
    config = settings(data, {"polarizability": TARGETS["polarizability"]}, baseline={"allow_rank_deficient": True})
    config["data"]["train"]["energy"] = "e"
    potential, report = train(config, quiet=True)
    assert {"energy", "polarizability"} <= set(report["errors"]["validation"])
    atoms = water(100)
    atoms.calc = LODECalculator(load_potential(data.parent / "out" / "learned.lode"), on_extrapolation="ignore")
    energy = atoms.get_potential_energy()
    assert energy == pytest.approx(0.1 * np.trace(polarizability(atoms)), abs=0.05)
    assert atoms.calc.respond(atoms)["polarizability"] == pytest.approx(polarizability(atoms), abs=0.2)


def test_targets_that_no_structure_defines_are_not_judged(tmp_path):
    """A potential of molecules and the liquid is judged on either."""
    atoms = Atoms("OHH", molecule().positions[:3], info={"mu": [0, 0, 0.4], "alpha": np.eye(3)})
    write(tmp_path / "alone.xyz", atoms, format="extxyz")
    errors = evaluate("water-response", tmp_path / "alone.xyz")["errors"]
    assert set(errors) >= {"dipole", "polarizability"} and "dielectric_tensor" not in errors


def test_bulk_dipoles_are_refused(data):
    """The cells of 100 Å look like bulk as long as nothing says otherwise."""
    config = settings(data, TARGETS)
    config["data"]["train"]["isolated"] = False
    for word in ("multivalued", "Born", "polarizability", "dielectric tensor", "isolated: true"):
        with pytest.raises(DataError, match=word):
            train(config, quiet=True)


def read(tmp_path, atoms, **targets):
    path = tmp_path / "one.xyz"
    write(path, atoms, format="extxyz")
    targets = {name: read_config(TargetConfig, target) for name, target in targets.items()}
    found, _ = read_structures(FileConfig(file=str(path), energy=None, forces=None), UnitsConfig(), targets=targets)
    refuse_undefined(found, targets)
    return found


@pytest.mark.parametrize("origin, moment", [("coordinates", 0.0), ("center_of_mass", 1.0)])
def test_charged_molecules_need_an_origin(tmp_path, origin, moment):
    atoms = Atoms("OHH", positions=scatter(3, 1.0, 3 * np.eye(3), False, 0) + 1.0)
    atoms.info.update(mu=[1.0, 2.0, 3.0], charge=2)
    with pytest.raises(DataError, match="origin"):
        read(tmp_path, atoms, dipole={"key": "mu"})
    found, = read(tmp_path, atoms, dipole={"key": "mu", "origin": origin})
    expected = np.array([1.0, 2.0, 3.0]) + moment * 2 * atoms.get_center_of_mass()
    assert found.response["dipole"] == pytest.approx(expected, abs=1e-6)


def test_molecules_among_periodic_structures(tmp_path):
    both = [molecule(), bulk()]
    both[0].info["mu"], both[1].info["mu"] = [0.1, 0.2, 0.3], [9.0, 9.0, 9.0]
    both[1].info["eps"] = 2.0 * np.eye(3)
    found = read(tmp_path, both, dipole={"key": "mu", "systems": "isolated"}, dielectric_tensor={"key": "eps"})
    assert [set(s.response) for s in found] == [{"dipole"}, {"dielectric_tensor"}]


def test_words_for_what_is_missing_or_wrong(tmp_path):
    atoms = molecule()
    atoms.info["mu"] = [0.1, 0.2, 0.3]
    with pytest.raises(DataError, match="dipole 0/1 under 'dip'"):
        read(tmp_path, atoms, dipole={"key": "dip"})
    with pytest.raises(DataError, match="0/1 under 'alpha'; its keys are mu"):
        read(tmp_path, atoms, polarizability={"key": "alpha"})
    with pytest.raises(DataError, match="shape"):
        read(tmp_path, atoms, polarizability={"key": "mu"})
    atoms.info["six"] = np.arange(6.0)
    with pytest.raises(DataError, match="6 numbers.*write all 9"):
        read(tmp_path, atoms, polarizability={"key": "six"})
    with pytest.raises(DataError, match="No training structure is periodic"):
        read(tmp_path, atoms, dielectric_tensor={"key": "six"})
    crystal = bulk()
    crystal.info["eps"] = np.diag([2.0, 2.0, -2.0])
    with pytest.raises(DataError, match="not positive"):
        read(tmp_path, crystal, dielectric_tensor={"key": "eps"})
    with pytest.raises(DataError, match="No training structure is isolated"):
        read(tmp_path, bulk(), dipole={"key": "mu", "systems": "isolated"})
    atoms.info["skew"] = np.arange(9.0)
    with pytest.raises(DataError, match="not symmetric"):
        read(tmp_path, atoms, polarizability={"key": "skew"})


def test_single_atoms_have_no_tensors(tmp_path):
    frames = [Atoms("O", info={"alpha": np.eye(3).ravel()}) for _ in range(4)]
    write(tmp_path / "atoms.xyz", frames, format="extxyz")
    with pytest.raises(DataError, match="none has neighbours"):
        train(settings(tmp_path / "atoms.xyz", {"polarizability": {"key": "alpha"}}), quiet=True)


@pytest.mark.parametrize("target, words", [
    ({"dipole": {"key": "mu", "unit": "eV"}}, "unit 'eV' is unknown; use one of e.angstrom, e.bohr, debye"),
    ({"dipole": {"key": "mu", "order": [2]}}, "order must be among"), ({"dipol": {"key": "mu"}}, "dipol"),
    ({"polarizability": {"key": "a", "origin": "coordinates"}}, "origin belongs to dipoles")])
def test_settings_are_checked(data, target, words):
    with pytest.raises(ConfigError, match=words):
        read_config(TrainConfig, settings(data, target))
