"""The command line: what it writes, its exit status, its messages, and how fast it answers."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import bulk, molecule
from ase.io import read, write
from dynamics.md_systems import PureEMT
from typer.testing import CliRunner

from ase_lode import LODECalculator, cli
from ase_lode.errors import PotentialFileError

ROOT = Path(__file__).parents[1]


class Card:
    name, sha256, header = "emt", "0" * 64, {"level_of_theory": "EMT"}
    elements = ("Cu", "H", "O")


class Calculator(PureEMT):
    potential = Card()


def find(name):
    if name != "emt":
        raise PotentialFileError(f"There is no potential '{name}': give the path of a .lode file or a shipped name.")
    return Calculator()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call the command line in an empty folder, with EMT behind the name `emt`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_calculator", find)
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.05, seed=0)
    write("cu.extxyz", atoms)
    return lambda *words: CliRunner().invoke(cli.app, [str(word) for word in words])


def summary(path):
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def test_singlepoint(run):
    write("two.extxyz", [molecule("H2O"), bulk("Cu", cubic=True)])
    result = run("singlepoint", "two.extxyz", "-p", "emt", "--out", "new/x.extxyz")
    assert result.exit_code == 0 and "largest force" in result.stdout and "'new/x.extxyz'" in result.stdout
    frames = read("new/x.extxyz", ":")
    assert [len(frame) for frame in frames] == [3, 4]
    atoms = bulk("Cu", cubic=True)
    atoms.calc = PureEMT()
    assert frames[1].get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    assert np.allclose(frames[1].get_stress(), atoms.get_stress(), atol=1e-6)
    found = summary("new/x.summary.yaml")
    assert found["command"] == "singlepoint" and found["potential"] == {"name": "emt", "sha256": "0" * 64}
    assert set(found["versions"]) == {"ase_lode", "ase", "numpy", "python"} and found["timings"]["seconds"] > 0


def test_singlepoint_of_a_response(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("m.xyz", molecule("H2O"))
    result = CliRunner().invoke(cli.app, ["singlepoint", "m.xyz", "-p", "qm7b-response"])
    assert result.exit_code == 0 and "dipole" in result.stdout and "polarizability" in result.stdout
    frame = read("m_singlepoint.extxyz")
    expected = LODECalculator("qm7b-response").respond(molecule("H2O"))
    assert np.allclose(frame.info["polarizability"], expected["polarizability"], atol=1e-12)
    assert np.allclose(frame.get_dipole_moment(), expected["dipole"], atol=1e-12)


def test_singlepoint_takes_no_label_for_a_result(run):
    atoms = bulk("Cu", cubic=True)
    atoms.info |= {"polarizability": np.eye(3), "energy": 7.0, "dipole": np.ones(3), "mine": 3}
    write("labelled.traj", atoms)
    result = run("singlepoint", "labelled.traj", "-p", "emt")
    assert result.exit_code == 0 and "polarizability" not in result.stdout
    frame = read("labelled_singlepoint.extxyz")
    assert set(frame.info) == {"mine"} and "dipole" not in frame.calc.results
    assert frame.get_potential_energy() == pytest.approx(PureEMT().get_potential_energy(bulk("Cu", cubic=True)))


def test_singlepoint_says_which_dipoles_are_undefined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    water = molecule("H2O")
    boxed = molecule("H2O", vacuum=30.0, pbc=True)
    zero = water.copy()
    zero.pbc = True
    write("m.traj", [water, boxed, zero, molecule("SiH4"), molecule("H2")])
    words = ["singlepoint", "m.traj", "-p", "qm7b-response"]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 1 and "3: Elements Si" in result.stderr and "1 of 5" in result.stderr
    assert "1 structures have no dipole" in result.stderr and "--isolated" in result.stderr
    frames = read("m_singlepoint.extxyz", ":")
    found = ["dipole" in frame.calc.results if frame.calc else False for frame in frames]
    assert found == [True, False, True, False, True]
    CliRunner().invoke(cli.app, [*words, "--isolated", "--out", "m2.traj"])
    frames = read("m2.traj", ":")
    assert np.allclose(frames[1].get_dipole_moment(), frames[0].get_dipole_moment(), atol=1e-9)


@pytest.mark.parametrize(("out", "message"), [("x.cif", "must end in"), ("cu.extxyz", "is the input"),
                                              ("folder.traj", "is a folder")])
def test_singlepoint_refuses_outputs_that_cannot_be(run, out, message):
    Path("folder.traj").mkdir()
    before = Path("cu.extxyz").read_bytes()
    result = run("singlepoint", "cu.extxyz", "-p", "emt", "--out", out)
    assert result.exit_code == 1 and message in result.stderr and Path("cu.extxyz").read_bytes() == before


def test_an_at_sign_in_a_folder_names_no_frame(run):
    Path("my@folder").mkdir()
    write("my@folder/two.extxyz", [bulk("Cu", cubic=True)] * 2)
    result = run("singlepoint", "my@folder/two.extxyz", "-p", "emt")
    assert result.exit_code == 0 and len(read("two_singlepoint.extxyz", ":")) == 2


def test_build(run):
    pytest.importorskip("rdkit", reason="needs RDKit")
    result = run("build", "C[NH3+]", "--out", "new/m.extxyz")
    assert result.exit_code == 0 and "charge 1" in result.stdout
    assert read("new/m.extxyz").info["charge"] == 1 and len(read("new/m.extxyz")) == 8
    result = run("build", "C(C")
    assert result.exit_code == 1 and "not a valid SMILES" in result.stderr


def test_relax(run):
    result = run("relax", "cu.extxyz", "-p", "emt", "--cell", "full", "--fmax", 0.01)
    assert result.exit_code == 0 and result.stdout.startswith("converged after")
    assert np.linalg.norm(read("cu_relaxed.extxyz").get_forces(), axis=1).max() < 0.01
    assert {path.name for path in Path().iterdir()} == {"cu.extxyz", "cu_relaxed.extxyz", "cu_relaxed.csv",
                                                        "cu_relaxed.png", "cu_relaxed.html", "cu_relaxed.summary.yaml"}
    found = summary("cu_relaxed.summary.yaml")
    assert found["results"]["converged"] and found["settings"]["cell"] == "full"


def test_unconverged_relaxation_is_status_1(run):
    result = run("relax", "cu.extxyz", "-p", "emt", "--fmax", 1e-6, "--steps", 2)
    assert result.exit_code == 1 and "not converged after 2 steps" in result.stderr
    assert not summary("cu_relaxed.summary.yaml")["results"]["converged"] and Path("cu_relaxed.extxyz").exists()


def test_md_and_restart(run):
    words = ["-p", "emt", "--ensemble", "nvt-langevin", "-T", "200,400", "--dt", 2, "--seed", 7, "--log-interval", 1]
    assert run("md", "cu.extxyz", *words, "--steps", 12, "--out", "whole/md.traj", "--quiet").exit_code == 0
    result = run("md", "cu.extxyz", *words, "--steps", 12, "--out", "parts/md.traj")
    assert result.exit_code == 0 and "ns/day" in result.stderr and "12 steps" in result.stdout
    longer = run("md", "--restart", "parts/md.ckpt.npz", "-p", "emt", "--steps", 20, "--quiet")
    assert longer.exit_code == 0 and longer.stdout == longer.stderr == ""
    rows = Path("parts/md.csv").read_text().splitlines()
    assert rows[:14] == Path("whole/md.csv").read_text().splitlines() and len(rows) == 22
    assert {path.name for path in Path("parts").iterdir()} == {"md.traj", "md.csv", "md.ckpt.npz", "md.png", "md.html",
                                                               "md.summary.yaml"}
    found = summary("parts/md.summary.yaml")
    assert found["seed"] == 7 and found["settings"]["temperature_K"] == [200, 400] and found["results"]["steps"] == 20


def test_config_file_and_flags(run):
    Path("md.yaml").write_text("structure: cu.extxyz\npotential: emt\nensemble: nve\ntemperature: [100, 100]\n"
                               "timestep_fs: 1.5\nsteps: 4\nseed: 3\nlog-interval: 2\nout: run.traj\nquiet: true\n")
    result = run("md", "--config", "md.yaml", "--seed", 9)
    assert result.exit_code == 0 and result.stderr == ""
    found = summary("run.summary.yaml")["settings"]
    assert (found["ensemble"], found["timestep_fs"], found["steps"], found["seed"], found["log_interval"]) == \
        ("nve", 1.5, 4, 9, 2)
    Path("bad.yaml").write_text("ensembel: nve\n")
    result = run("md", "--config", "bad.yaml")
    assert result.exit_code != 0 and "did you mean 'ensemble'" in " ".join(result.stderr.split())


@pytest.mark.parametrize(("words", "message"), [
    (["relax", "missing.xyz", "-p", "emt"], "'missing.xyz' does not exist"),
    (["relax", "cu.extxyz", "-p", "nothing"], "There is no potential 'nothing'"),
    (["relax", "cu.extxyz", "-p", "emt", "--optimizer", "newton"], "use one of lbfgs"),
    (["relax", "cu.extxyz", "-p", "emt", "--pressure", "3"], "no effect"),
    (["md", "cu.extxyz", "-p", "emt", "-T", "warm"], "--temperature must be a number"),
    (["md", "cu.extxyz", "-p", "emt", "--ensemble", "nvt"], "Unknown ensemble"),
    (["md", "cu.extxyz"], "Give a structure and a potential"),
    (["md", "--restart", "cu.extxyz"], "not a checkpoint"),
    (["singlepoint", "empty.xyz", "-p", "emt"], "empty.xyz"),
    (["analyze", "rdf", "molecule.xyz"], "periodic"), (["analyze", "vdos", "molecule.xyz"], "two frames")])
def test_errors_are_sentences(run, words, message):
    Path("empty.xyz").write_text("")
    write("molecule.xyz", molecule("H2O"))
    result = run(*words)
    assert result.exit_code == 1 and message in result.stderr
    assert "Traceback" not in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_debug_shows_the_traceback(run):
    assert isinstance(run("relax", "missing.xyz", "-p", "emt", "--debug").exception, FileNotFoundError)


@pytest.fixture
def trajectory(run):
    run("md", "cu.extxyz", "-p", "emt", "--dt", 3, "--steps", 64, "--trajectory-interval", 2, "--quiet",
        "--out", "a.traj")
    return run


@pytest.mark.parametrize("kind", ["rdf", "msd", "vdos", "profile", "rmsd", "rgyr"])
def test_analyze(trajectory, kind):
    result = trajectory("analyze", kind, "a.traj")
    assert result.exit_code == 0, result.output
    table = np.genfromtxt(f"a_{kind}.csv", delimiter=",", skip_header=1)
    assert np.isfinite(table).all() and len(table) > 10
    assert Path(f"a_{kind}.png").read_bytes().startswith(b"\x89PNG") and Path(f"a_{kind}.summary.yaml").exists()


@pytest.mark.parametrize("kind", ["bonds", "angles", "ramachandran"])
def test_analyze_molecules(run, kind):
    peptide = read(ROOT / "md_examples" / "peptide" / "peptide.xyz")
    write("a.traj", [peptide, peptide, peptide])
    result = run("analyze", kind, "a.traj", *(["--frame-fs", 2] if kind == "ramachandran" else []))
    assert result.exit_code == 0, result.output
    names = Path(f"a_{kind}.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert {"bonds": "C-N", "angles": "H-C-H", "ramachandran": "psi 2"}[kind] in names
    assert Path(f"a_{kind}.png").read_bytes().startswith(b"\x89PNG")
    found = summary(f"a_{kind}.summary.yaml")["results"]
    assert kind != "ramachandran" or -180 < found["phi 1"]["mean"] < 180


def test_diffusion_is_reported(trajectory):
    result = trajectory("analyze", "msd", "a.traj")
    assert "diffusion_cm2_s: Cu" in result.stdout
    assert set(summary("a_msd.summary.yaml")["results"]["diffusion_cm2_s"]) == {"Cu"}


def test_broken_bonds_on_the_command_line(run):
    assert run("md", "cu.extxyz", "-p", "emt", "--steps", 1, "--on-broken-bonds", "ignore").exit_code == 0
    assert summary("cu_md.summary.yaml")["settings"]["on_broken_bonds"] == "ignore"
    result = run("md", "cu.extxyz", "-p", "emt", "--steps", 1, "--on-broken-bonds", "never")
    assert result.exit_code == 1 and "stop or ignore" in result.stderr


def test_potential_commands(run, monkeypatch):
    from ase_lode.models import library

    row = {"name": "emt", "elements": ["Cu"], "size": 1e6, "sha256": "ab" * 32, "level_of_theory": "EMT",
           "errors": {"validation": {"energy": {"rmse": 0.001, "unit": "eV/atom"}, "forces_by_element": {"Cu": {}}}}}
    monkeypatch.setattr(library, "list_potentials", lambda: [row])
    monkeypatch.setattr(library, "load_potential", lambda name: Card())
    monkeypatch.setattr(library, "verify", lambda name: {"name": name, "sha256": "ab" * 32})
    assert "EMT" in run("potentials").stdout
    assert run("potentials").stdout.endswith("RMSE, validation: energy 0.001 eV/atom\n")
    assert yaml.safe_load(run("info", "emt").stdout)["level_of_theory"] == "EMT"
    assert "whole and readable" in run("verify", "emt").stdout


def test_eval_and_train_call_the_trainer(run, monkeypatch):
    training = pytest.importorskip("ase_lode.training")
    from ase_lode.models import library

    monkeypatch.setattr(library, "load_potential", lambda name: Card())
    seen = {}

    def evaluate(potential, file, **options):
        seen.update(options)
        return {"errors": {"energy": np.float64(0.5)}, "structures": 3}

    monkeypatch.setattr(training, "evaluate", evaluate)
    result = run("eval", "emt", "cu.extxyz", "--forces-key", "none", "--stress-key", "virial", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["errors"]["energy"] == 0.5
    assert (seen["energy_key"], seen["forces_key"], seen["stress_key"]) == ("energy", None, "virial")
    monkeypatch.setattr(training, "train", lambda recipe, **options: (Card(), {"rmse": 1.0, **options}))
    recipe = {"schema": 1, "seed": 5, "model": {"elements": ["H"], "density": {"cutoff": 3.0}},
              "data": {"train": {"file": "train.extxyz", "energy": "energy"}},
              "output": {"name": "x", "directory": "o"}}
    Path("train.yaml").write_text(yaml.safe_dump(recipe))
    result = run("train", "train.yaml", "--check")
    assert result.exit_code == 0 and "check: true" in result.stdout
    assert summary("train.summary.yaml")["seed"] == 5
    Path("o").mkdir()
    assert run("train", "train.yaml", "--quiet").exit_code == 0
    assert summary("o/x.summary.yaml")["results"]["rmse"] == 1.0


def test_lint(run):
    pytest.importorskip("ase_lode.training")
    result = run("data", "lint", "cu.extxyz", "cu.extxyz")
    assert result.exit_code == 0 and "structures: 2" in result.stdout and "WARNING" in result.stdout
    assert summary("cu_lint.summary.yaml")["results"]["facts"]["structures"] == 2
    missing = run("data", "lint", "nowhere.xyz")
    assert missing.exit_code == 1 and "nowhere.xyz" in missing.stderr


def test_help_is_fast_and_lists_every_command():
    times = []
    for _ in range(3):
        began = time.perf_counter()
        shown = subprocess.run([sys.executable, "-m", "ase_lode.cli", "--help"], cwd=ROOT, capture_output=True,
                               text=True)
        times.append(time.perf_counter() - began)
    assert shown.returncode == 0 and min(times) < 1.0
    for name in ("potentials", "info", "verify", "build", "singlepoint", "relax", "md", "train", "eval", "check",
                 "data", "analyze"):
        assert name in shown.stdout
    code = "import sys, ase_lode.cli; print([m for m in ('numpy', 'ase', 'rich', 'pydantic') if m in sys.modules])"
    imported = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert imported.stdout.strip() == "[]"
