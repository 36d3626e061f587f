"""A restarted run equals the uninterrupted one bit for bit: atoms, logs and trajectories."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.constraints import FixAtoms
from ase.io import read
from dynamics.md_systems import PureEMT, cluster, copper, slab, water

from ase_lode.dynamics import run_md
from ase_lode.errors import ConfigError, SimulationError

ENSEMBLES = ["nve", "nvt-bussi", "nvt-langevin", "nvt-nhc", "npt-mtk", "npt-mtk-iso", "npt-xy"]
OUTPUTS = ("md.traj", "md.csv")


def settings(folder, **changes):
    return {"timestep_fs": 2.0, "steps": 24, "seed": 3, "log_interval": 2, "trajectory_interval": 3,
            "checkpoint_interval": 1000, "trajectory": folder / "md.traj", "log": folder / "md.csv",
            "checkpoint": folder / "md.ckpt.npz", "quiet": True, **changes}


class Killed(Exception):
    pass


class DyingEMT(PureEMT):
    """Dies without any warning, as a process does that is killed."""

    left = 0

    def calculate(self, *arguments):
        self.left -= 1
        if self.left < 0:
            raise Killed
        super().calculate(*arguments)


def assert_same(first, second, folder, other):
    assert np.array_equal(first.positions, second.positions)
    assert np.array_equal(first.get_momenta(), second.get_momenta())
    assert np.array_equal(first.cell.array, second.cell.array)
    assert (folder / "md.csv").read_bytes() == (other / "md.csv").read_bytes()
    frames, others = read(folder / "md.traj", ":"), read(other / "md.traj", ":")
    assert [frame.info["step"] for frame in frames] == [frame.info["step"] for frame in others]
    for frame, twin in zip(frames, others, strict=True):
        assert np.array_equal(frame.positions, twin.positions)
        assert np.array_equal(frame.get_forces(), twin.get_forces())
        assert frame.get_potential_energy() == twin.get_potential_energy()


def killed_and_restarted(atoms, folder, at, every, **options):
    """Kill a run after some steps, well after its last checkpoint, and continue it."""
    atoms.calc = DyingEMT()
    atoms.calc.left = at + 1
    with pytest.raises(Killed):
        run_md(atoms, **settings(folder, checkpoint_interval=every, **options))
    return run_md(restart=folder / "md.ckpt.npz", calc=PureEMT(), quiet=True).atoms


@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("ramp", [False, True])
def test_periodic(tmp_path, ensemble, ramp):
    rng = np.random.default_rng(ENSEMBLES.index(ensemble))
    every, later = int(rng.integers(4, 11)), int(rng.integers(1, 4))
    options = {"ensemble": ensemble, "temperature_K": 300}
    if ramp and ensemble != "nve":
        options["temperature_K"] = [200, 600]
    if ensemble.startswith("npt"):
        options["pressure_GPa"] = [0.0, 3.0] if ramp else 0.5
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    make = slab if ensemble == "npt-xy" else copper
    first = run_md(make(), **settings(whole, checkpoint_interval=every, **options)).atoms
    second = killed_and_restarted(make(), parts, every + later, every, **options)
    assert_same(first, second, whole, parts)


@pytest.mark.parametrize("ensemble", ENSEMBLES[:4])
def test_isolated(tmp_path, ensemble):
    make = cluster if ensemble == "nvt-nhc" else water
    options = {"ensemble": ensemble, "timestep_fs": 0.5}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    first = run_md(make(), **settings(whole, checkpoint_interval=7, **options)).atoms
    second = killed_and_restarted(make(), parts, 16, 7, **options)
    assert_same(first, second, whole, parts)


def test_longer_run_and_moved_folder(tmp_path):
    whole, parts, moved = tmp_path / "whole", tmp_path / "parts", tmp_path / "moved"
    first = run_md(copper(), **settings(whole)).atoms
    run_md(copper(), **settings(parts, steps=11))
    shutil.move(parts, moved)
    second = run_md(restart=moved / "md.ckpt.npz", steps=24, calc=PureEMT(), quiet=True).atoms
    assert_same(first, second, whole, moved)


def test_drift_removal_survives_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr("ase_lode.dynamics.ensembles.DRIFT_INTERVAL", 4)
    for name, ensemble, make in (("b", "nvt-bussi", water), ("n", "nvt-nhc", cluster)):
        first = run_md(make(), **settings(tmp_path / name, ensemble=ensemble)).atoms
        second = killed_and_restarted(make(), tmp_path / (name + "2"), 15, 7, ensemble=ensemble)
        assert_same(first, second, tmp_path / name, tmp_path / (name + "2"))


def test_constraints_and_arrays_are_kept(tmp_path):
    def fixed():
        atoms = copper((2, 1, 1))
        atoms.set_constraint(FixAtoms([0, 3]))
        atoms.set_tags(range(len(atoms)))
        atoms.info["charge"] = 1.0
        return atoms

    first = run_md(fixed(), **settings(tmp_path / "a")).atoms
    run_md(fixed(), **settings(tmp_path / "b", steps=9))
    second = run_md(restart=tmp_path / "b" / "md.ckpt.npz", steps=24, calc=PureEMT(), quiet=True).atoms
    assert_same(first, second, tmp_path / "a", tmp_path / "b")
    assert np.array_equal(second.constraints[0].index, [0, 3])
    assert np.array_equal(second.get_tags(), range(len(second))) and second.info["charge"] == 1.0
    assert np.array_equal(second.positions[[0, 3]], fixed().positions[[0, 3]])


def test_extxyz_is_cut_back(tmp_path):
    for name in ("whole", "parts"):
        options = {"trajectory": tmp_path / name / "md.extxyz", "checkpoint_interval": 8}
        if name == "whole":
            run_md(copper(), **settings(tmp_path / name, **options))
        else:
            atoms = copper()
            atoms.calc = DyingEMT()
            atoms.calc.left = 17
            with pytest.raises(Killed):
                run_md(atoms, **settings(tmp_path / name, **options))
            with open(tmp_path / name / "md.extxyz", "a") as file:
                file.write("32\nunfinished")
            with open(tmp_path / name / "md.csv", "a") as file:
                file.write("18,0.03")
            run_md(restart=tmp_path / name / "md.ckpt.npz", calc=PureEMT(), quiet=True)
    for file in ("md.extxyz", "md.csv"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()


def test_a_finished_run_restarts_as_itself(tmp_path):
    first = run_md(copper(), **settings(tmp_path))
    before = {name: (tmp_path / name).read_bytes() for name in OUTPUTS}
    second = run_md(restart=tmp_path / "md.ckpt.npz", calc=PureEMT(), quiet=True)
    assert np.array_equal(first.atoms.positions, second.atoms.positions) and second.steps == 24
    assert before == {name: (tmp_path / name).read_bytes() for name in OUTPUTS}


def test_what_a_restart_refuses(tmp_path):
    run_md(copper(), **settings(tmp_path))
    checkpoint = tmp_path / "md.ckpt.npz"
    with pytest.raises(ConfigError, match="keeps timestep_fs"):
        run_md(restart=checkpoint, timestep_fs=1.0, calc=PureEMT())
    with pytest.raises(ConfigError, match="at step 24 already"):
        run_md(restart=checkpoint, steps=10, calc=PureEMT())
    with pytest.raises(SimulationError, match="pass it as calc="):
        run_md(restart=checkpoint)
    whole = checkpoint.read_bytes()
    for damaged in (whole[:-200], whole[:300], b"", whole[:900] + bytes([whole[900] ^ 1]) + whole[901:], b"text"):
        checkpoint.write_bytes(damaged)
        with pytest.raises(SimulationError, match="damaged"):
            run_md(restart=checkpoint, calc=PureEMT())
    with pytest.raises(FileNotFoundError):
        run_md(restart=tmp_path / "missing.npz", calc=PureEMT())


def test_what_a_kill_leaves_of_a_checkpoint_does_not_stay(tmp_path):
    (tmp_path / ".c.npz").write_bytes(b"half a checkpoint")
    run_md(copper(), steps=1, checkpoint=tmp_path / "c.npz", quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_full_disk_stops_in_one_sentence(tmp_path):
    (tmp_path / "md.csv").symlink_to("/dev/full")
    with pytest.raises(SimulationError, match="after step 0 .No space left on device.; make room, then start again"):
        run_md(copper(), **settings(tmp_path))


class Signalled(PureEMT):
    """Gets a signal in the middle of an evaluation."""

    left = 0

    def calculate(self, *arguments):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        super().calculate(*arguments)


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_sigterm_at_a_random_step(tmp_path, ensemble):
    """Every ensemble, its ramps under way; the checkpoint is that of the step the signal fell in."""
    options = {"ensemble": ensemble}
    if ensemble != "nve":
        options["temperature_K"] = [200, 600]
    if ensemble.startswith("npt"):
        options["pressure_GPa"] = [0.0, 3.0]
    make = slab if ensemble == "npt-xy" else copper
    first = run_md(make(), **settings(tmp_path / "whole", **options)).atoms
    atoms = make()
    atoms.calc = Signalled()
    atoms.calc.left = int(np.random.default_rng(len(ensemble)).integers(6, 16))
    with pytest.raises(SimulationError, match="SIGTERM stopped the run after step"):
        run_md(atoms, **settings(tmp_path / "parts", **options))
    second = run_md(restart=tmp_path / "parts" / "md.ckpt.npz", calc=PureEMT(), quiet=True).atoms
    assert_same(first, second, tmp_path / "whole", tmp_path / "parts")


SCRIPT = """
import sys
from dynamics.md_systems import copper
from ase_lode.dynamics import run_md
folder = sys.argv[1]
run_md(copper(), timestep_fs=2.0, steps=100_000, seed=5, log=f"{folder}/md.csv", trajectory=f"{folder}/md.traj",
       trajectory_interval=7, checkpoint=f"{folder}/md.ckpt.npz")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal(tmp_path, number):
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=root, stderr=subprocess.PIPE,
                               text=True, env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"})
    log = tmp_path / "md.csv"
    began = time.monotonic()
    while not (tmp_path / "md.ckpt.npz").exists() or time.monotonic() - began < 2.5:
        assert time.monotonic() - began < 60
        time.sleep(0.1)
    process.send_signal(number)
    message = process.communicate(timeout=30)[1]
    assert process.returncode != 0
    assert f"{number.name} stopped the run after step" in message and "md.ckpt.npz" in message
    with np.load(tmp_path / "md.ckpt.npz") as file:
        assert "state/transferred_energy" in file.files
    step = int(message.rsplit("after step ", 1)[1].split()[0])
    assert step > 0
    result = run_md(restart=tmp_path / "md.ckpt.npz", steps=step + 10, calc=PureEMT(), quiet=True)
    whole = run_md(copper(), timestep_fs=2.0, steps=step + 10, seed=5, log=tmp_path / "w.csv", quiet=True)
    assert np.array_equal(result.atoms.positions, whole.atoms.positions)
    assert log.read_bytes() == (tmp_path / "w.csv").read_bytes()


class Card:
    name, sha256 = "copper", "12" * 32


class Named(PureEMT):
    """A calculator of a potential that has a name, a hash and keywords."""

    def __init__(self, potential, charge=None):
        super().__init__()
        self.potential, self._charge = potential, charge


def test_a_potential_is_found_by_name_and_hash(tmp_path, monkeypatch):
    import ase_lode.calculator  # noqa: F401 - or what it imports would stay patched

    first = run_md(copper(), **settings(tmp_path / "a")).atoms
    atoms = copper()
    atoms.calc = Named(Card(), charge=2.0)
    run_md(atoms, **settings(tmp_path / "b", steps=9))
    monkeypatch.setattr("ase_lode.models.library.load_potential", lambda name: Card())
    monkeypatch.setattr("ase_lode.calculator.LODECalculator", Named)
    second = run_md(restart=tmp_path / "b" / "md.ckpt.npz", steps=24, quiet=True).atoms
    assert_same(first, second, tmp_path / "a", tmp_path / "b")
    assert second.calc._charge == 2.0
    monkeypatch.setattr(Card, "sha256", "34" * 32)
    with pytest.raises(SimulationError, match="found by its name and hash"):
        run_md(restart=tmp_path / "b" / "md.ckpt.npz", steps=30, quiet=True)
    with pytest.raises(SimulationError, match="this is another one"):
        run_md(restart=tmp_path / "b" / "md.ckpt.npz", steps=30, calc=Named(Card()), quiet=True)
