"""Spectra of motions whose lines are known: place, intensity and polarisation; and runs that log their response."""

import numpy as np
import pytest
from ase import units
from ase.io import read
from responses import alone
from synthetic import bulk, molecule, potential

from ase_lode import LODECalculator, run_md
from ase_lode.dynamics.analysis import LIGHT
from ase_lode.dynamics.spectra import (
    DEBYE,
    MECHANICAL,
    Record,
    bands,
    infrared,
    power_spectrum,
    raman,
)
from ase_lode.errors import ConfigError

#: fs, number and wavenumber of an oscillator.
TIMESTEP, FRAMES, LINE = 0.5, 8001, 1600.0


def wave(wavenumber=LINE, timestep=TIMESTEP, frames=FRAMES):
    return np.cos(2 * np.pi * LIGHT * wavenumber * timestep * np.arange(frames))[:, None]


def integral(x, y):
    return y.sum() * (x[1] - x[0])


def record(dipoles=None, polarizabilities=None, volume=None, temperature=300.0, timestep=TIMESTEP):
    return Record(timestep, temperature, volume, dipoles, polarizabilities)


@pytest.mark.parametrize("line, timestep", [(200.0, 0.5), (LINE, 0.5), (3700.0, 0.5), (3700.0, 2.0)])
def test_an_oscillator_gives_its_line(line, timestep):
    """At its place, and with the mean square velocity as the integral, up to sparse frames."""
    x, power = power_spectrum(0.2 * wave(line, timestep), timestep)
    assert x[power.argmax()] == pytest.approx(line, abs=x[1])
    assert integral(x, power) == pytest.approx(0.5 * (0.2 * 2 * np.pi * LIGHT * line) ** 2, rel=5e-3)


def test_infrared_intensity_of_a_normal_mode():
    """Q = √(2kT)/ω cos ωt with dμ/dQ = (2, 1, 0) D/Å/√amu: 42.2561 · 5 km/mol at any temperature."""
    for temperature in (100.0, 300.0):
        amplitude = np.sqrt(2 * units.kB * temperature / MECHANICAL) / (2 * np.pi * LIGHT * LINE)
        x, curves = infrared(record(np.array([2.0, 1.0, 0.0]) / DEBYE * amplitude * wave(), temperature=temperature))
        assert integral(x, curves["absorption"]) == pytest.approx(42.2561 * 5, rel=5e-3)
        assert bands(x, curves["absorption"]) == pytest.approx([LINE], abs=x[1])


def test_absorption_of_a_cell_is_that_of_its_molecules_per_volume():
    """1 km/mol per 30 Å³ is 1e5 cm/mol times the mol per cm³."""
    dipoles = 0.1 * wave() * np.ones(3)
    molecule = infrared(record(dipoles))[1]["absorption"]
    cell = infrared(record(dipoles, volume=30.0))[1]["absorption"]
    assert cell == pytest.approx(molecule * 1e5 / (6.02214076e23 * 30e-24))


@pytest.mark.parametrize("tensor, isotropic, anisotropic", [
    (np.eye(3), 45.0, 0.0), (np.diag([1.0, -1.0, 0.0]), 0.0, 7 * 3.0), (np.diag([0.0, 0.0, 3.0]), 45.0, 7 * 9.0),
    (np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0.0]]), 0.0, 7 * 3.0)])
def test_raman_activities_of_known_tensors(tensor, isotropic, anisotropic):
    """45 a'² + 7 γ'², γ² = ½ Σ (α_aa - α_bb)² + 3 Σ α_ab² over pairs, of a normal mode with dα/dQ = tensor Å²/√amu."""
    amplitude = np.sqrt(2 * units.kB * 300.0 / MECHANICAL) / (2 * np.pi * LIGHT * LINE)
    x, curves = raman(record(polarizabilities=5 * np.eye(3) + amplitude * wave()[:, :, None] * tensor))
    assert integral(x, curves["isotropic"]) == pytest.approx(isotropic, rel=5e-3, abs=1e-9)
    assert integral(x, curves["anisotropic"]) == pytest.approx(anisotropic, rel=5e-3, abs=1e-9)
    assert curves["total"] == pytest.approx(curves["isotropic"] + curves["anisotropic"])


def test_stokes_intensities_favour_low_wavenumbers():
    both = 0.01 * (wave(500.0) / 500 + wave(3000.0) / 3000)[:, :, None] * np.eye(3)
    x, plain = raman(record(polarizabilities=both))
    _, stokes = raman(record(polarizabilities=both), laser_nm=532.0)
    low, high = (abs(x - line) < 60 for line in (500, 3000))
    ratio = stokes["total"][low].sum() / stokes["total"][high].sum()
    thermal = np.expm1(-3000 * units.invcm / (units.kB * 300)) / np.expm1(-500 * units.invcm / (units.kB * 300))
    expected = ((1e7 / 532 - 500) / (1e7 / 532 - 3000)) ** 4 * 6 * thermal
    assert plain["total"][low].sum() == pytest.approx(plain["total"][high].sum(), rel=0.01)
    assert ratio == pytest.approx(expected, rel=0.02) and stokes["total"].max() == 1.0


def test_columns_of_a_log_are_components_by_their_names(tmp_path):
    names = [f"polarizability_{name}_A3" for name in ("zz", "xx", "yy", "xy", "xz", "yz")]
    rows = [f"{0.001 * step},300,3,1,2,6,5,4" for step in range(3)]
    (tmp_path / "md.csv").write_text("\n".join([",".join(["time_ps", "temperature_K", *names]), *rows]) + "\n")
    found = Record.of_log(tmp_path / "md.csv")
    assert found.polarizabilities[2].tolist() == [[1, 6, 5], [6, 2, 4], [5, 4, 3]] and found.dipoles is None


def test_words_for_what_is_missing():
    with pytest.raises(ConfigError, match="no dipoles"):
        infrared(record())
    with pytest.raises(ConfigError, match="no polarizabilities"):
        raman(record())
    with pytest.raises(ConfigError, match="at least 32 frames, not 10"):
        infrared(record(np.zeros((10, 3))))
    for laser in (0.0, -532.0):
        with pytest.raises(ConfigError, match="laser"):
            raman(record(polarizabilities=np.zeros((40, 3, 3))), laser)


@pytest.mark.parametrize("text, words", [("", "no log"), ("wavenumber,absorption\n1,2\n3,4\n", "no log"),
                                         ("time_ps,temperature_K\n0,300\n", "two frames"),
                                         ("time_ps,temperature_K\n0,300\n1,300\n3,300\n", "evenly")])
def test_logs_that_give_no_spectrum(tmp_path, text, words):
    (tmp_path / "md.csv").write_text(text)
    with pytest.raises(ConfigError, match=words):
        Record.of_log(tmp_path / "md.csv")


def test_time_and_temperature_are_as_given_or_refused(tmp_path):
    (tmp_path / "md.csv").write_text("time_ps,temperature_K\n0,300\n0.001,300\n")
    found = Record.of_log(tmp_path / "md.csv", 2.0, 50.0)
    assert found.frame_fs == 2.0 and found.temperature_K == 50.0
    for temperature in (0.0, -5.0):
        with pytest.raises(ConfigError, match="temperature"):
            Record.of_log(tmp_path / "md.csv", temperature_K=temperature)
    with pytest.raises(ConfigError, match="velocities"):
        Record.of_frames([molecule(), molecule()], frame_fs=1.0)


def test_dipoles_are_continuous_where_frames_are_wrapped():
    """Atoms drift through a triclinic cell, each in its own direction, and every frame puts them back inside."""
    drift, free = np.random.default_rng(0).normal(size=(8, 3)), []
    for number in range(20):
        free.append(bulk())
        free[-1].positions += 0.5 * number * drift
    wrapped = [atoms.copy() for atoms in free]
    for atoms in wrapped:
        atoms.wrap()

    def respond(atoms):
        return {"dipole": np.arange(1.0, 9.0) @ atoms.positions}

    one, two = (Record.of_frames(frames, 1.0, 300.0, respond).dipoles for frames in (free, wrapped))
    plain = np.array([respond(atoms)["dipole"] for atoms in wrapped])
    assert abs(np.diff(plain, axis=0) - np.diff(one, axis=0)).max() > 1
    assert np.diff(two, axis=0) == pytest.approx(np.diff(one, axis=0), abs=1e-10)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a run of 80 steps, and of one that was broken in two and continued."""
    folder = tmp_path_factory.mktemp("spectra")
    alone().save(folder / "response.lode")
    settings = {"ensemble": "nve", "temperature_K": 100, "timestep_fs": 0.2, "seed": 1, "log_interval": 1,
                "trajectory_interval": 2, "checkpoint_interval": 20, "on_broken_bonds": "ignore",
                "max_temperature_K": 1e9, "quiet": True, "response": str(folder / "response.lode")}
    for name, steps in (("whole", [80]), ("parts", [40, 80])):
        atoms = molecule()
        atoms.calc = LODECalculator(potential("charges"), on_extrapolation="ignore", n_threads=1)
        checkpoint = folder / f"{name}.npz"
        run_md(atoms, steps=steps[0], trajectory=folder / f"{name}.traj", log=folder / f"{name}.csv",
               checkpoint=checkpoint, **settings)
        if len(steps) > 1:
            run_md(restart=checkpoint, calc=atoms.calc, steps=steps[1], quiet=True)
    return folder


@pytest.mark.filterwarnings("ignore:The structure lies outside", "ignore:Two atoms",
                            "ignore:The polarizability is not positive")  # random weights
def test_a_restarted_run_logs_the_same_response(run):
    assert (run / "whole.csv").read_bytes() == (run / "parts.csv").read_bytes()
    one, two = (read(run / f"{name}.traj", ":") for name in ("whole", "parts"))
    for a, b in zip(one, two, strict=True):
        assert (a.calc.results["dipole"] == b.calc.results["dipole"]).all()
        assert (a.info["polarizability"] == b.info["polarizability"]).all()


@pytest.mark.filterwarnings("ignore:The structure lies outside", "ignore:Two atoms",
                            "ignore:The polarizability is not positive")  # random weights
def test_frames_log_and_potential_agree(run):
    frames = read(run / "whole.traj", ":")
    calc = LODECalculator(alone(), on_extrapolation="ignore", n_threads=1)
    held, computed = Record.of_frames(frames), Record.of_frames(frames, respond=calc.respond)
    logged = Record.of_log(run / "whole.csv")
    assert held.frame_fs == pytest.approx(0.4) and logged.frame_fs == pytest.approx(0.2)
    for name in ("dipoles", "polarizabilities"):
        assert (getattr(held, name) == getattr(computed, name)).all()
        assert getattr(logged, name)[::2] == pytest.approx(getattr(held, name), rel=1e-9, abs=1e-10)
    assert held.temperature_K == pytest.approx(logged.temperature_K, rel=0.1)


def test_a_potential_without_response_is_refused(tmp_path):
    atoms = molecule()
    atoms.calc = LODECalculator(potential("charges"), on_extrapolation="ignore", n_threads=1)
    with pytest.raises(ConfigError, match="targets"):
        run_md(atoms, steps=1, response=True, quiet=True)
