"""What a run reports, refuses and stops at."""

import base64
import json

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixBondLengths
from ase.io import read
from dynamics.md_systems import Faulty, Free, PureEMT, Springs, cluster, copper, slab, water

from ase_lode.dynamics import run_md
from ase_lode.dynamics.checkpoint import read_checkpoint
from ase_lode.dynamics.page import gathered
from ase_lode.dynamics.settings import CONSTANT_PRESSURE, CONSTANT_VOLUME
from ase_lode.dynamics.velocities import degrees_of_freedom, draw_velocities
from ase_lode.errors import ConfigError, SimulationError


def columns(path):
    return np.atleast_1d(np.genfromtxt(path, delimiter=",", names=True))


def test_log_agrees_with_the_frames(tmp_path):
    atoms = copper()
    result = run_md(atoms, "npt-mtk-iso", 400, 2.0, 20, 1, tmp_path / "md.traj", tmp_path / "md.csv", log_interval=5,
                    trajectory_interval=5, quiet=True)
    assert result.atoms is atoms and result.steps == 20 and result.time_ps == pytest.approx(0.04)
    log, frames = columns(tmp_path / "md.csv"), read(tmp_path / "md.traj", ":")
    assert list(log["step"]) == [frame.info["step"] for frame in frames] == [0, 5, 10, 15, 20]
    assert list(log["time_ps"]) == [0, 0.01, 0.02, 0.03, 0.04]
    dof = 3 * len(atoms) - 3
    for row, frame in zip(log, frames, strict=True):
        kinetic = frame.get_kinetic_energy()
        assert row["E_pot_eV"] == pytest.approx(frame.get_potential_energy(), abs=1e-10)
        assert row["E_total_eV"] == pytest.approx(frame.get_potential_energy() + kinetic, abs=1e-10)
        assert row["temperature_K"] == pytest.approx(2 * kinetic / (dof * units.kB))
        assert row["volume_A3"] == pytest.approx(frame.get_volume())
        pressure = -frame.get_stress(include_ideal_gas=True)[:3].mean() / units.GPa
        assert row["pressure_GPa"] == pytest.approx(pressure)
        assert row["density_g_cm3"] == pytest.approx(len(atoms) * 63.546 / frame.get_volume() * 1.66053907)


def test_the_volume_of_a_molecule_is_not_logged(tmp_path):
    run_md(water(), steps=2, log=tmp_path / "md.csv", quiet=True)
    names = columns(tmp_path / "md.csv").dtype.names
    assert names == ("step", "time_ps", "E_pot_eV", "E_kin_eV", "E_total_eV", "conserved_eV", "temperature_K")


@pytest.mark.parametrize("ensemble", CONSTANT_VOLUME + CONSTANT_PRESSURE)
def test_conserved_quantity_fluctuates_as_the_time_step_squared(tmp_path, ensemble):
    spread = []
    for timestep in (4.0, 2.0):
        atoms = slab() if ensemble == "npt-xy" else copper((2, 2, 1))
        draw_velocities(atoms, 400, np.random.default_rng(0))
        run_md(atoms, ensemble, 400, timestep, steps=int(240 / timestep), log=tmp_path / "md.csv", log_interval=1,
               quiet=True, taup_fs=300)
        spread.append(columns(tmp_path / "md.csv")["conserved_eV"].std())
    assert spread[1] < 2e-3
    assert 2.5 < spread[0] / spread[1] < 7


def test_energy_is_conserved_over_time(tmp_path):
    atoms = copper()
    run_md(atoms, "nve", 300, 1.0, 600, log=tmp_path / "md.csv", quiet=True)
    log = columns(tmp_path / "md.csv")
    drift = np.polyfit(log["time_ps"], log["E_total_eV"], 1)[0] / len(atoms)
    assert abs(drift) < 1e-5


def test_velocities_are_kept_or_drawn(tmp_path):
    atoms = water()
    momenta = np.arange(9.0).reshape(3, 3) / 10
    atoms.set_momenta(momenta)
    run_md(atoms, "nve", steps=0, quiet=True)
    assert np.array_equal(atoms.get_momenta(), momenta)
    first, second, other = (run_md(water(), "nve", steps=0, seed=seed, quiet=True).atoms for seed in (1, 1, 2))
    assert np.array_equal(first.get_momenta(), second.get_momenta())
    assert not np.array_equal(first.get_momenta(), other.get_momenta())
    assert np.allclose(first.get_momenta().sum(axis=0), 0, atol=1e-12)
    assert np.allclose(first.get_angular_momentum(), 0, atol=1e-12)
    moving = run_md(water(), "nve", steps=0, zero_momentum=False, quiet=True).atoms
    assert np.abs(moving.get_momenta().sum(axis=0)).max() > 0.1


def test_velocity_distribution():
    atoms = copper((8, 8, 8))
    draw_velocities(atoms, 500, np.random.default_rng(0))
    velocities = atoms.get_velocities() * np.sqrt(63.546 / (units.kB * 500))
    assert abs(velocities.std() - 1) < 0.02 and abs((velocities**4).mean() - 3) < 0.2


@pytest.mark.parametrize(("name", "expected"), [("H2O", 3), ("CO2", 4), ("H2", 1), ("H", 0), ("CH4", 9)])
def test_degrees_of_freedom_of_molecules(name, expected):
    atoms = molecule(name)
    draw_velocities(atoms, 300, np.random.default_rng(0))
    assert degrees_of_freedom(atoms) == expected


def test_degrees_of_freedom_elsewhere():
    atoms = copper()
    draw_velocities(atoms, 300, np.random.default_rng(0))
    assert degrees_of_freedom(atoms) == 3 * len(atoms) - 3
    draw_velocities(atoms, 300, np.random.default_rng(0), zero_momentum=False)
    assert degrees_of_freedom(atoms) == 3 * len(atoms)
    atoms.set_constraint(FixAtoms([0]))
    draw_velocities(atoms, 300, np.random.default_rng(0))
    assert degrees_of_freedom(atoms) == 3 * len(atoms) - 3
    rigid = water()
    rigid.set_constraint(FixBondLengths([[0, 1], [0, 2]]))
    draw_velocities(rigid, 300, np.random.default_rng(0))
    assert degrees_of_freedom(rigid) == 1


@pytest.mark.parametrize("ensemble", CONSTANT_VOLUME)
def test_fixed_atoms_stay(ensemble):
    atoms = copper()
    atoms.set_constraint(FixAtoms([0, 5]))
    before = atoms.get_positions()
    run_md(atoms, ensemble, steps=20, timestep_fs=2, quiet=True)
    assert np.array_equal(atoms.positions[[0, 5]], before[[0, 5]]) and not np.array_equal(atoms.positions, before)


@pytest.mark.parametrize("ensemble", CONSTANT_VOLUME)
def test_momenta_of_fixed_atoms_are_no_heat(tmp_path, ensemble):
    """Drawn before the constraint was set, or gathered from forces on the way, they would cool the atoms that move."""
    atoms = copper()
    atoms.rattle(0.1, seed=1)
    draw_velocities(atoms, 300, np.random.default_rng(0))
    atoms.set_constraint(FixAtoms([0, 1, 2]))
    run_md(atoms, ensemble, 300, 2.0, 200, log=tmp_path / "md.csv", log_interval=1, quiet=True)
    conserved = np.genfromtxt(tmp_path / "md.csv", delimiter=",", names=True)["conserved_eV"]
    assert np.ptp(conserved) < 0.02 and not atoms.get_momenta()[:3].any()


def test_rigid_bonds_stay():
    atoms = water()
    atoms.set_constraint(FixBondLengths([[0, 1], [0, 2]]))
    before = atoms.get_distances(0, [1, 2])
    run_md(atoms, "nvt-bussi", steps=50, quiet=True)
    assert np.allclose(atoms.get_distances(0, [1, 2]), before, atol=1e-8)


def test_temperature_ramp(tmp_path):
    run_md(copper((2, 2, 2)), "nvt-langevin", [100, 900], 2.0, 300, log=tmp_path / "md.csv", friction_per_ps=100,
           quiet=True)
    log = columns(tmp_path / "md.csv")
    assert log["temperature_K"][:8].mean() < 250 and 600 < log["temperature_K"][-8:].mean() < 1050


def test_slab_keeps_its_third_vector():
    atoms = slab()
    atoms.rotate(30, "x", rotate_cell=True)
    before = atoms.cell.array.copy()
    run_md(atoms, "npt-xy", 600, 2.0, 40, taup_fs=100, quiet=True)
    assert np.allclose(atoms.cell[2], before[2], atol=1e-12)
    normal = np.cross(before[0], before[1])
    assert np.allclose(atoms.cell[:2] @ normal, 0, atol=1e-10)
    assert not np.allclose(atoms.cell[:2], before[:2], atol=1e-4)


def test_minimise_comes_first(tmp_path):
    atoms = copper()
    atoms.rattle(0.2, seed=0)
    run_md(atoms, "nve", 0, steps=0, minimise=True, quiet=True)
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.1


class Pinned(PureEMT):
    pinned = 0

    def pin_mesh(self, atoms):
        self.pinned += 1

    def get_state(self):
        return {"mesh": [8, 8, np.int64(12)], "cell": np.eye(3) / 3}

    def set_state(self, state):
        self.state = state


def test_mesh_is_pinned_and_saved(tmp_path):
    atoms = copper()
    atoms.calc = Pinned()
    run_md(atoms, "nvt-bussi", steps=1, quiet=True)
    assert atoms.calc.pinned == 0
    run_md(atoms, "npt-mtk", steps=1, checkpoint=tmp_path / "c.npz", quiet=True)
    assert atoms.calc.pinned == 1
    calc = Pinned()
    run_md(restart=tmp_path / "c.npz", steps=2, calc=calc, quiet=True)
    assert calc.state["mesh"] == [8, 8, 12] and np.array_equal(calc.state["cell"], np.eye(3) / 3)


def test_the_mesh_follows_the_cell_again_after_a_run(tmp_path):
    from synthetic import bulk, potential

    from ase_lode import LODECalculator

    checkpoint, atoms = tmp_path / "c.npz", bulk()
    atoms.calc = LODECalculator(potential("charges"), on_extrapolation="ignore", n_threads=1)
    options = {"timestep_fs": 0.05, "checkpoint": checkpoint, "quiet": True}
    run_md(atoms, "npt-mtk", 10, steps=1, **options)
    assert atoms.calc.get_state() == {"mesh": [None], "reach": [None]}
    assert read_checkpoint(checkpoint)[1]["calculator"]["state"]["mesh"][0] is not None
    atoms.calc.pin_mesh(bulk())
    state = atoms.calc.get_state()
    again = run_md(restart=checkpoint, steps=2, calc=atoms.calc, quiet=True)
    assert again.atoms.calc.get_state() == state
    with pytest.raises(SimulationError):
        run_md(bulk(), "npt-mtk", 300, 10.0, steps=500, calc=atoms.calc, max_temperature_K=400, quiet=True)
    assert atoms.calc.get_state() == state


@pytest.mark.parametrize(("fault", "words"), [("nan", "not finite"), ("push", "moved by|temperature reached"),
                                              ("raise", "outside the training range")])
def test_the_last_good_frame_is_kept(tmp_path, fault, words):
    atoms = copper()
    atoms.calc = Faulty(fault, after=8)
    with pytest.raises(SimulationError, match=words) as caught:
        run_md(atoms, "nve", steps=50, trajectory=tmp_path / "md.traj", trajectory_interval=1, quiet=True)
    last = read(tmp_path / "md.traj")
    assert str(tmp_path / "md.last_good.extxyz") in str(caught.value)
    kept = read(tmp_path / "md.last_good.extxyz")
    assert np.allclose(kept.positions, last.positions, atol=1e-7) and np.array_equal(atoms.positions, last.positions)
    assert np.isfinite(atoms.get_momenta()).all()


def test_an_explosion_stops():
    atoms = copper()
    with pytest.raises(SimulationError, match="above the limit of 350 K; the last good frame is in the atoms object"):
        run_md(atoms, "nvt-langevin", 300, 2.0, 500, max_temperature_K=350, quiet=True)


@pytest.mark.parametrize(("options", "words"), [
    ({"ensemble": "nvt"}, "nvt-bussi"), ({"temperature_K": -1}, "above 0"),
    ({"temperature_K": [1, 2, 3]}, "start, end"),
    ({"temperature_K": "hot"}, "number"), ({"timestep_fs": 0}, "positive"), ({"steps": -1}, "steps"),
    ({"steps": 2.5}, "whole"), ({"ensemble": "nve", "temperature_K": [1, 2]}, "ramp"), ({"pressure_GPa": 1}, "npt-mtk"),
    ({"log_interval": 0}, "log_interval"), ({"trajectory": "md.pdb"}, "extxyz"), ({"checkpoint": "md.chk"}, "npz"),
    ({"taut_fs": float("nan")}, "taut_fs"), ({"temperature_K": 0}, "above 0"), ({"temperature_K": True}, "number"),
    ({"plot": "md.jpg"}, "png"), ({"plot": "md.html"}, "png"), ({"trajectory": "md.xyz", "log": "md.xyz"}, "own"),
    ({"log": "."}, "folder")])
def test_bad_settings_are_refused(options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=words):
        run_md(copper(), quiet=True, **options)
    assert not list(tmp_path.iterdir())


def test_structures_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="no calculator"):
        run_md(molecule("H2O"))
    with pytest.raises(ConfigError, match="needs atoms"):
        run_md()
    with pytest.raises(ConfigError, match="periodic along a, b and c"):
        run_md(water(), "npt-mtk")
    with pytest.raises(ConfigError, match="stress"):
        atoms = copper()
        atoms.calc = Springs()
        run_md(atoms, "npt-mtk")
    with pytest.raises(ConfigError, match="constraints"):
        atoms = copper()
        atoms.set_constraint(FixAtoms([0]))
        run_md(atoms, "npt-mtk")
    with pytest.raises(ConfigError, match="choose nvt-bussi"):
        atoms = water()
        atoms.set_constraint(FixBondLengths([[0, 1]]))
        run_md(atoms, "nvt-nhc")
    with pytest.raises(ConfigError, match="an ase.Atoms, got list"):
        run_md([copper()], calc=PureEMT())
    with pytest.raises(ConfigError, match="not finite"):
        atoms = copper()
        atoms.positions[0, 0] = np.nan
        run_md(atoms)
    with pytest.raises(ConfigError, match="stiff bonds of so small a molecule .3 of 22 atoms.*nvt-langevin"):
        run_md(water(), "nvt-nhc")
    with pytest.raises(ConfigError, match="no degree of freedom"):
        atoms = water()
        atoms.set_constraint(FixBondLengths([[0, 1], [0, 2], [1, 2]]))
        run_md(atoms, "nvt-bussi")
    with pytest.raises(ConfigError, match="choose nve"):
        atoms = copper()
        atoms.set_constraint(FixAtoms(range(len(atoms))))
        run_md(atoms, "nvt-langevin")
    with pytest.raises(ConfigError, match="no degree of freedom"):
        atoms = copper()[:1]
        atoms.calc = PureEMT()
        run_md(atoms, "nvt-bussi")


@pytest.mark.parametrize("ensemble", ["nvt-bussi", "npt-mtk-iso"])
def test_a_broken_bond_stops(tmp_path, ensemble):
    """N2 across the boundary, thrown apart; the last good frame is whole, and 'ignore' goes on."""
    def thrown():
        atoms = Atoms("N2", positions=[[0.2, 4, 4], [7.2, 4, 4]], cell=[8, 8, 8], pbc=True)
        atoms.set_momenta([[6.0, 0, 0], [-6.0, 0, 0]])
        atoms.calc = Free()
        return atoms

    common = {"timestep_fs": 0.5, "steps": 300, "max_temperature_K": 1e9, "quiet": True}
    atoms = thrown()
    with pytest.raises(SimulationError, match=r"bond N0-N1 broke at 2\.\d\d Å .*on_broken_bonds='ignore'"):
        run_md(atoms, ensemble, checkpoint=tmp_path / "c.npz", checkpoint_interval=1, **common)
    assert 2.0 < atoms.get_distance(0, 1, mic=True) < 2 * 2 * 0.71
    with pytest.raises(SimulationError, match="bond N0-N1 broke"):
        run_md(restart=tmp_path / "c.npz", calc=Free(), quiet=True)
    assert run_md(thrown(), ensemble, on_broken_bonds="ignore", **common).steps == 300


def test_metals_and_ions_have_no_bonds_to_break():
    from ase.build import bulk

    from ase_lode.dynamics.bonds import Bonds

    assert len(Bonds.find(copper())) == len(Bonds.find(bulk("NaCl", "rocksalt", a=5.6) * 2)) == 0
    bonds = Bonds.find(molecule("CH3CH2OH"))
    assert len(bonds) == 8 and bonds.lengths(molecule("CH3CH2OH").positions, np.eye(3)).max() < 1.6


def test_stress_of_a_slab_does_not_depend_on_the_height(tmp_path):
    """The tension is the force per length of the edge: what the energy does when the area grows."""
    tensions = []
    for height in (20.0, 35.0):
        atoms = slab()
        atoms.pbc = (True, True, False)
        atoms.cell[2, 2] = height
        atoms.set_cell(atoms.cell.array @ np.diag([1.02, 1.02, 1]), scale_atoms=True)
        run_md(atoms, "nve", 0, steps=0, log=tmp_path / "md.csv", quiet=True)
        log = columns(tmp_path / "md.csv")[0]
        tensions.append(log["tension_N_m"])
        assert "pressure_GPa" not in log.dtype.names
        assert log["pressure_ab_GPa"] == pytest.approx(-(log["stress_xx_GPa"] + log["stress_yy_GPa"]) / 2)
        assert log["tension_N_m"] == pytest.approx(-0.1 * height * log["pressure_ab_GPa"])

    def energy(strain):
        moved = atoms.copy()
        moved.calc = atoms.calc
        moved.set_cell(atoms.cell.array @ np.diag([1 + strain, 1 + strain, 1]), scale_atoms=True)
        return moved.get_potential_energy()

    area = np.linalg.norm(np.cross(*atoms.cell.array[:2]))
    assert tensions[0] == pytest.approx(tensions[1], rel=1e-6)
    assert tensions[0] == pytest.approx(16.0218 * (energy(1e-4) - energy(-1e-4)) / 4e-4 / area, rel=1e-4)


def test_uncertainty_is_logged(tmp_path):
    class Unsure(PureEMT):
        extras = {"energy_uncertainty": 0.25}

    atoms = copper()
    atoms.calc = Unsure()
    run_md(atoms, steps=1, log=tmp_path / "md.csv", quiet=True)
    assert columns(tmp_path / "md.csv")["energy_uncertainty_eV"] == 0.25


def test_progress_and_plot(tmp_path, capsys):
    run_md(copper(), steps=20, plot=tmp_path / "md.png")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10 and "ns/day" in lines[-1] and "step 20 of 20" in lines[-1]
    assert (tmp_path / "md.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "md.csv").exists()
    run_md(copper(), steps=20, quiet=True)
    assert capsys.readouterr() == ("", "")


def page_of(path):
    """The data of a page."""
    text = path.read_text(encoding="utf-8")
    assert "http" not in text and "src=" not in text and "@import" not in text
    return json.loads(text.split('type="application/json">')[1].split("</script>")[0])


@pytest.mark.parametrize("suffix", [".traj", ".extxyz"])
def test_page_holds_curves_and_frames(tmp_path, suffix):
    atoms = copper()
    run_md(atoms, "npt-mtk", steps=20, plot=tmp_path / "md.png", trajectory=tmp_path / f"md{suffix}",
           trajectory_interval=5, quiet=True)
    data, log = page_of(tmp_path / "md.html"), columns(tmp_path / "md.csv")
    assert data["x"] == pytest.approx(log["time_ps"]) and data["times"] == [0, 0.0025, 0.005, 0.0075, 0.01]
    curves = {curve["name"]: curve["values"] for panel in data["panels"] for curve in panel["curves"]}
    assert {"temperature_K", "conserved_eV", "pressure_GPa", "density_g_cm3"} <= set(curves)
    assert curves["E_pot_eV"] == pytest.approx(log["E_pot_eV"])
    positions = np.frombuffer(base64.b64decode(data["positions"]), "<f4").reshape(5, len(atoms), 3)
    assert positions[-1] == pytest.approx(atoms.positions, abs=1e-5) and "step 20 of 20" in data["note"]


def test_page_gathers_molecules_in_the_cell():
    """Wrapped atoms of a molecule that has left come back as one molecule inside; a chain through the cell stays."""
    water = Atoms("OHHAr", [[9.8, 5, 5], [10.6, 5, 5.5], [9.5, 5, 5.9], [12, 5, 5]], cell=[10, 10, 4], pbc=[1, 1, 0])
    chain = Atoms("CC", [[0.7, 0, 0], [2.1, 0, 0]], cell=[2.8, 9, 9], pbc=True)
    torn = water.copy()
    torn.wrap()
    later = torn.copy()
    later.positions += [20.5, -30, 7]
    found = gathered([torn, later])
    for frame, height in zip(found, (5, 12)):
        assert frame[:3] - frame[0] == pytest.approx(water.positions[:3] - water.positions[0])
        assert (frame[:3].mean(axis=0)[:2] >= 0).all() and (frame[:3].mean(axis=0)[:2] < 10).all()
        assert frame[0, 2] == pytest.approx(height)
    assert (found[1][3] == later.positions[3]).all()
    assert (gathered([chain])[0] == chain.positions).all()


def test_page_knows_what_binds(tmp_path):
    """Cations are closer to each other than covalent radii say; a metal alone is bonded."""
    salt = bulk("NaCl", "rocksalt", a=5.6)
    salt.calc = Free()
    for atoms, unbound in ((salt, [True, False]), (copper((1, 1, 1)), [False] * 4)):
        run_md(atoms, steps=1, plot=tmp_path / "md.png", quiet=True)
        assert page_of(tmp_path / "md.html")["unbound"] == unbound


def test_page_without_trajectory_and_of_a_failed_run(tmp_path):
    atoms = copper()
    atoms.calc = Faulty("nan", after=8)
    with pytest.raises(SimulationError):
        run_md(atoms, "nve", steps=50, plot=tmp_path / "<b>.png", log_interval=1, quiet=True)
    assert len(page_of(tmp_path / "<b>.html")["times"]) == 1
    assert "<title>&lt;b&gt;</title>" in (tmp_path / "<b>.html").read_text()


def test_long_runs_of_large_systems_make_small_pages(tmp_path, monkeypatch):
    monkeypatch.setattr("ase_lode.dynamics.page.ATOMS", 100)
    run_md(copper(), steps=40, plot=tmp_path / "md.png", trajectory=tmp_path / "md.traj", trajectory_interval=1,
           quiet=True)
    times = page_of(tmp_path / "md.html")["times"]
    assert len(times) == 100 // 8 and times[0] == 0 and times[-1] == pytest.approx(0.02)


def test_pictures_are_renewed_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr("ase_lode.dynamics.plots.EVERY", 0.0)
    drawn = []
    monkeypatch.setattr("ase_lode.dynamics.plots.write_page", lambda *arguments: drawn.append(arguments[-1]))
    monkeypatch.setattr("ase_lode.dynamics.plots.plot_log", lambda *arguments: None)
    run_md(copper(), steps=60, plot=tmp_path / "md.png", quiet=True)
    assert len(drawn) > 1 and drawn[0].endswith("of 60") and drawn[-1].endswith("step 60 of 60")


def test_memory_does_not_grow(tmp_path):
    import tracemalloc

    atoms = Atoms("N4", positions=[[0, 0, 0], [1, 0, 0], [0, 4, 0], [0, 5, 0]])
    sizes = []

    class Probe(Springs):
        calls = 0

        def calculate(self, *arguments):
            super().calculate(*arguments)
            Probe.calls += 1
            if Probe.calls in (500, 1500):
                sizes.append(tracemalloc.get_traced_memory()[0])

    atoms.calc = Probe()
    tracemalloc.start()
    try:
        run_md(atoms, steps=1600, log=tmp_path / "a.csv", trajectory=tmp_path / "a.traj",
               checkpoint=tmp_path / "a.npz", checkpoint_interval=200, quiet=True)
    finally:
        tracemalloc.stop()
    assert (sizes[1] - sizes[0]) / 1000 < 200


@pytest.mark.parametrize("ensemble", ["nvt-bussi", "nvt-nhc"])
def test_a_rotation_that_was_given_stays(monkeypatch, ensemble):
    monkeypatch.setattr("ase_lode.dynamics.ensembles.DRIFT_INTERVAL", 5)
    atoms = cluster()
    draw_velocities(atoms, 300, np.random.default_rng(0))
    momenta = atoms.get_momenta()
    momenta[:2, 0] += [10.0, -10.0]
    atoms.set_momenta(momenta)
    assert degrees_of_freedom(atoms) == 9
    axis = atoms.get_angular_momentum()
    run_md(atoms, ensemble, steps=20, quiet=True)
    assert np.allclose(atoms.get_momenta().sum(axis=0), 0, atol=1e-10)
    after = atoms.get_angular_momentum()
    assert np.linalg.norm(after) > 0.1 * np.linalg.norm(axis)
    assert after @ axis == pytest.approx(np.linalg.norm(after) * np.linalg.norm(axis), rel=1e-6)
