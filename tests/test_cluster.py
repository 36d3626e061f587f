"""Many structures on Dask workers: the results of the plain loop to the last bit, whatever happens to the workers."""

import os
import signal
import warnings

import numpy as np
import pytest
from ase.calculators.emt import EMT
from synthetic import bulk, molecule, potential
from typer.testing import CliRunner

from ase_lode import ExtrapolationWarning, LODECalculator, cli, relax_many
from ase_lode.cluster import spread
from ase_lode.errors import ConfigError, StructureError, WorkerError

pytest.importorskip("distributed", reason="the extra 'dask' is not installed")


@pytest.fixture(scope="module")
def scheduler():
    """Address of a scheduler with two workers of two threads each."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def structures():
    """A crystal and molecules: the slow one comes first."""
    return [bulk(), *(molecule(4) for _ in range(30))]


def same(left, right):
    """Whether two lists of results hold the same bits."""
    return len(left) == len(right) and all(
        list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a) for a, b in zip(left, right))


def quiet(**keywords):
    return LODECalculator(potential("charges"), on_extrapolation="ignore", tolerance=1e-3, **keywords)


def test_predictions_are_those_of_the_plain_loop(scheduler, structures):
    names = ("energy", "forces", "stress")
    expected = quiet(n_threads=1).predict(structures, names)
    assert same(quiet().predict(iter(structures), names, workers=scheduler), expected)


def test_the_order_is_that_of_the_items(scheduler):
    def wait(item, n_threads):
        import time

        time.sleep(0.05 * (item % 3))
        return item, n_threads

    found = list(spread(wait, range(12), scheduler, batch=2))
    assert found == [(item, 2) for item in range(12)]


def test_a_killed_worker_loses_nothing(tmp_path):
    def die_once(item, n_threads):
        fallen = tmp_path / f"fallen{item}"
        if item in (3, 7) and not fallen.exists():
            fallen.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item**2, os.getpid()

    values, processes = zip(*spread(die_once, range(10), 2))
    assert values == tuple(item**2 for item in range(10))
    assert (tmp_path / "fallen3").exists() and (tmp_path / "fallen7").exists() and os.getpid() not in processes


def test_an_item_that_kills_every_worker_is_named():
    from dask import config

    def deadly(item, n_threads):
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with (config.set({"distributed.scheduler.allowed-failures": 0}),
          pytest.raises(WorkerError, match="Items 1 to 1 ended several workers")):
        list(spread(deadly, range(2), 1))


def test_errors_and_warnings_are_those_of_the_plain_loop(scheduler, structures):
    broken = molecule(4)
    broken.positions[0] = np.nan
    with pytest.raises(StructureError) as expected:
        quiet().predict([*structures, broken])
    with pytest.raises(StructureError) as found:
        quiet().predict([*structures, broken], workers=scheduler)
    assert str(found.value) == str(expected.value)
    close = molecule(4)
    close.positions[1] = close.positions[0] + [0.05, 0, 0]
    calc = LODECalculator(potential("charges"), tolerance=1e-3)
    for workers in (None, scheduler):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            calc.predict([close], workers=workers)
        assert any(entry.category is ExtrapolationWarning and "coincident" in str(entry.message) for entry in caught)


def rattled(count):
    from ase.build import bulk as crystal

    structures = [crystal("Cu", cubic=True) for _ in range(count)]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=seed)
    return structures


def test_relaxations_that_would_share_a_file_are_refused():
    with pytest.raises(ConfigError, match="one log"):
        relax_many(rattled(2), EMT(), log="relax.csv")


def test_relaxations_are_those_of_the_plain_loop(scheduler):
    structures = rattled(4)
    before = [atoms.positions.copy() for atoms in structures]
    structures[2].symbols[0] = "Fe"  # unknown to EMT
    serial, spreaded = (list(relax_many(structures, EMT(), workers, fmax=0.01))
                        for workers in (None, scheduler))
    assert [out.error is None for out in serial] == [True, True, False, True]
    for one, two in zip(serial, spreaded):
        assert (one.converged, one.steps, one.error) == (two.converged, two.steps, two.error)
        assert np.array_equal(one.atoms.positions, two.atoms.positions)
        if one.error is None:
            assert one.converged and one.fmax == two.fmax
            assert one.atoms.get_potential_energy() == two.atoms.get_potential_energy()
    assert np.array_equal(structures[0].positions, before[0])


@pytest.mark.parametrize(("workers", "error", "message"), [
    (0, ConfigError, "must be a number of processes"), ("here", ConfigError, "must be a number of processes"),
    ("tcp://127.0.0.1:9", WorkerError, "No Dask scheduler answers at tcp://127.0.0.1:9")])
def test_bad_workers_are_refused(workers, error, message, monkeypatch):
    monkeypatch.setattr("ase_lode.cluster.PATIENCE", 1)
    with pytest.raises(error, match=message):
        list(spread(max, [1], workers))


def test_a_scheduler_without_workers_is_refused(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr("ase_lode.cluster.PATIENCE", 1)
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        with pytest.raises(WorkerError, match="has no workers; start some with 'dask worker"):
            list(spread(max, [1], cluster.scheduler_address))


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'ase-lode\[dask\]'"):
        list(spread(max, [1], 2))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command line in an empty folder, with EMT as every potential."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_calculator", lambda name: EMT())
    return lambda *words: CliRunner().invoke(cli.app, [str(word) for word in words])


def test_a_folder_is_relaxed(run, tmp_path, scheduler):
    from ase.io import read, write

    (tmp_path / "many").mkdir()
    for index, atoms in enumerate(rattled(3)):
        write(tmp_path / "many" / f"{index}.xyz", atoms, format="extxyz")
    for name, words in (("serial", ()), ("spread", ("--workers", scheduler))):
        result = run("relax", "many", "-p", "emt", "--fmax", 0.01, "--out", f"{name}.extxyz", *words)
        assert result.exit_code == 0 and result.stdout.count("converged after") == 3
    assert (tmp_path / "serial.extxyz").read_bytes() == (tmp_path / "spread.extxyz").read_bytes()
    assert (tmp_path / "serial.csv").read_bytes() == (tmp_path / "spread.csv").read_bytes()
    frames = read("serial.extxyz", ":")
    assert [frame.info["structure"] for frame in frames] == ["many/0.xyz", "many/1.xyz", "many/2.xyz"]
    assert all(np.linalg.norm(frame.get_forces(), axis=1).max() < 0.01 for frame in frames)
    result = run("relax", "many/0.xyz", "many/1.xyz", "-p", "emt", "--fmax", 1e-9, "--steps", 1)
    assert result.exit_code == 1 and "2 of 2 structures did not converge" in result.stderr
    spreaded = run("singlepoint", "serial.extxyz", "-p", "emt", "--workers", scheduler, "--out", "b.extxyz")
    assert spreaded.exit_code == 0
    serial = run("singlepoint", "serial.extxyz", "-p", "emt", "--out", "a.extxyz")
    assert serial.stdout.replace("a.extxyz", "b.extxyz") == spreaded.stdout
    assert (tmp_path / "a.extxyz").read_bytes() == (tmp_path / "b.extxyz").read_bytes()


def test_errors_of_a_potential_are_those_of_the_plain_loop(scheduler, tmp_path):
    from ase.io import write

    from ase_lode.training import evaluate

    frames = [molecule(4) for _ in range(20)]
    for atoms in frames:
        atoms.info["energy"], atoms.arrays["forces"] = 0.0, np.zeros((len(atoms), 3))
    write(tmp_path / "test.extxyz", frames, format="extxyz")
    serial, spreaded = (evaluate(potential("charges"), tmp_path / "test.extxyz", workers=workers)
                        for workers in (None, scheduler))
    assert serial == spreaded
