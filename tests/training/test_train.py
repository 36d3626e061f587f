"""A run from YAML to a potential file: it fits, saves whole files, repeats itself, and refuses what it should."""

import sys
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
import yaml
from ase import units
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ase_lode.errors import ConfigError, DataError
from ase_lode.models.library import load_potential
from ase_lode.training import evaluate, train
from ase_lode.training.train import force_deviation

#: The package exports a function of the same name as this module.
MODULE = sys.modules["ase_lode.training.train"]


def write_data(path, count, seed=0):
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(count):
        atoms = molecule(("H2O", "CO2", "CH3OH")[index % 3])
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        atoms.info["config_type"] = str(atoms.symbols)
        frames.append(atoms)
    ase.io.write(path, frames, format="extxyz")


@pytest.fixture
def config(tmp_path):
    write_data(tmp_path / "train.xyz", 18)
    return {"model": {"density": {"cutoff": 3.0, "max_radial": 3, "max_angular": 2},
                      "fields": [{"exponent": 1, "max_angular": 1, "charges": {"H": 0.3, "C": 0.1, "O": -0.5}}]},
            "data": {"train": {"file": str(tmp_path / "train.xyz")}, "validation": {"fraction": 0.34}},
            "output": {"name": "tiny", "directory": str(tmp_path / "out"), "report": "none",
                       "card": {"licence": "none"}}}


def edited(config, **sections):
    return {**config, **{key: {**config.get(key, {}), **value} for key, value in sections.items()}}


def test_yaml_to_potential_report_and_metrics(config, tmp_path, capsys):
    config = edited(config, output={"directory": "results", "report": "html"})
    config["data"]["train"]["file"] = "train.xyz"
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump({"schema": 1, **config}))
    potential, report = train(path, quiet=True)
    assert capsys.readouterr() == ("", "")
    out = tmp_path / "results"
    assert sorted(p.name for p in out.iterdir()) == ["metrics.yaml", "report.html", "tiny.lode"]
    again = load_potential(out / "tiny.lode")
    assert again.sha256 == potential.sha256 == yaml.safe_load((out / "metrics.yaml").read_text())["sha256"]
    header = again.header
    assert header["licence"] == "none" and header["data"]["periodicities"] == ["FFF"]
    assert len(header["data"]["files"]["train.xyz"]) == 64
    assert header["errors"]["validation"]["forces"] == report["errors"]["validation"]["forces"]
    assert set(report["errors"]["train"]["forces_by_element"]) == {"H", "C", "O"}
    assert len(report["errors"]["train"]["energy_by_config_type"]) == 3
    assert report["force_check"]["relative_deviation"] < 1e-6
    page = (out / "report.html").read_text()
    for words in ("Learning curve", "Without long range", "Uncertainty", "Card", "Settings", "data:image/png"):
        assert words in page
    assert "http" not in page.replace("http-equiv", "")
    tested = evaluate(again, tmp_path / "train.xyz", report=tmp_path / "eval.html")
    assert tested["errors"]["energy"]["count"] == 18 and (tmp_path / "eval.html").is_file()


def test_eval_reads_labels_in_the_units_of_the_training(config, tmp_path):
    """Labels in hartree and bohr give the same errors in eV and eV/Å, in training and afterwards."""
    frames = ase.io.read(tmp_path / "train.xyz", ":")
    for atoms in frames:
        results = {"energy": atoms.get_potential_energy() / units.Ha,
                   "forces": atoms.get_forces() * units.Bohr / units.Ha}
        atoms.calc = SinglePointCalculator(atoms, **results)
    ase.io.write(tmp_path / "atomic.xyz", frames, format="extxyz")
    found = []
    for file, data in (("train.xyz", {}), ("atomic.xyz", {"units": {"energy": "hartree", "length": "bohr"}})):
        potential, _ = train(edited(config, data={"train": {"file": str(tmp_path / file)}, **data}), quiet=True)
        found.append(evaluate(potential, tmp_path / file))
    assert found[1]["units"] == {"energy": "hartree", "length": "bohr"}
    for label in ("energy", "forces"):
        assert found[1]["errors"][label]["rmse"] == pytest.approx(found[0]["errors"][label]["rmse"], rel=1e-3)


def test_same_seed_gives_the_same_file(config, tmp_path):
    for name in ("a", "b"):
        train(edited(config, output={"directory": str(tmp_path / name)}), quiet=True)
    assert (tmp_path / "a" / "tiny.lode").read_bytes() == (tmp_path / "b" / "tiny.lode").read_bytes()


def test_the_file_holds_no_folders_of_this_machine(config, tmp_path):
    assert str(tmp_path).encode() in str(config).encode()
    train(config, quiet=True)
    assert str(tmp_path).encode() not in (tmp_path / "out" / "tiny.lode").read_bytes()


def test_one_structure_is_reproduced(config, tmp_path):
    write_data(tmp_path / "one.xyz", 1)
    config["data"] = {"train": {"file": str(tmp_path / "one.xyz")}}
    config["model"] = {"density": {"cutoff": 3.0, "max_radial": 5, "max_angular": 3},
                       "baseline": {"allow_rank_deficient": True}}
    errors = train(config, quiet=True)[1]["errors"]["train"]
    assert errors["energy"]["rmse"] < 1e-6 and errors["forces"]["rmse"] < 1e-6


def test_check_says_what_would_be_done_and_writes_nothing(config, tmp_path):
    potential, plan = train(config, check=True, quiet=True)
    assert potential is None and plan["structures"] == {"train": 12, "validation": 6}
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_leaves_nothing(config, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(MODULE, "force_deviation", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(config, quiet=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_wrong_forces_are_never_saved(config, tmp_path, monkeypatch):
    monkeypatch.setattr(MODULE, "force_deviation", lambda *_: 0.1)
    with pytest.raises(ValueError, match="differ from its energy differences"):
        train(config, quiet=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_force_deviation_sees_a_wrong_gradient():
    def evaluate(system, n_threads=1):
        return SimpleNamespace(energy=np.sum(system.positions**2), gradient=2 * factor * system.positions)

    from ase_lode.system import System

    system = System(np.array([1, 1]), np.arange(6.0).reshape(2, 3), np.eye(3), np.zeros(3, bool))
    factor = 1.0
    assert force_deviation(SimpleNamespace(evaluate=evaluate), system) < 1e-9
    factor = 1.01
    assert force_deviation(SimpleNamespace(evaluate=evaluate), system) > 1e-4


@pytest.mark.parametrize("change, error, message", [
    ({"model": {"elements": ["H", "O"]}}, DataError, "lists H, O, but the data hold H, C, O"),
    ({"model": {"fields": [{"exponent": 1}]}}, ConfigError, "nothing tells the charges"),
    ({"model": {"baseline": {"reference_energies": {"H": 0.0}}}}, ConfigError, "lacks C, O"),
    ({"weights": {"energy": 0.0, "forces": 0.0}}, ConfigError, "Neither energies nor forces"),
    ({"data": {"train": {"file": "none.xyz"}}}, DataError, "not found"),
    ({"data": {"training": {}}}, ConfigError, "did you mean 'train'")])
def test_refusals(config, change, error, message):
    with pytest.raises(error, match=message):
        train(edited(config, **change), quiet=True)


@pytest.mark.parametrize("content, message", [("a: [", "not valid YAML"), ("- 1", "mapping"), ("", "mapping")])
def test_damaged_configurations(tmp_path, content, message):
    path = tmp_path / "train.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        train(path, quiet=True)
    with pytest.raises(ConfigError, match="Cannot read"):
        train(tmp_path / "absent.yaml", quiet=True)


def test_a_label_without_weight_is_not_required(config, tmp_path):
    frames = ase.io.read(tmp_path / "train.xyz", ":")
    for atoms in frames:
        del atoms.calc.results["energy"]
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    with pytest.raises(DataError, match="energies 0/18, forces 18/18"):
        train(config, quiet=True)
    report = train(edited(config, weights={"energy": 0.0}), quiet=True)[1]
    assert "energy" not in report["errors"]["train"]
