"""The ensembles sample what they are named for: whole distributions, not averages of the temperature."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.emt import EMT
from dynamics.md_systems import Lattice, Springs, copper
from scipy.stats import gamma

from ase_lode.dynamics import run_md
from ase_lode.dynamics.settings import CONSTANT_VOLUME

THERMOSTATS = CONSTANT_VOLUME[1:]


def log_of(path):
    return np.genfromtxt(path, delimiter=",", names=True)


def dimers(count):
    """Harmonic bonds far from each other."""
    positions = np.zeros((2 * count, 3))
    positions[::2, 0] = positions[1::2, 0] = 10.0 * np.arange(count)
    positions[1::2, 2] = 1.0
    atoms = Atoms(["Na"] * (2 * count), positions=positions)
    atoms.calc = Springs()
    return atoms


def blocks(values, count=20):
    """Mean and its standard error from block averages."""
    size = len(values) // count
    means = values[: size * count].reshape(count, size).mean(axis=1)
    return means.mean(), means.std(ddof=1) / np.sqrt(count)


@pytest.mark.parametrize("ensemble", THERMOSTATS)
def test_kinetic_energy_of_one_dimer(tmp_path, ensemble):
    """One bond alone: 1 degree of freedom (6 with Langevin noise), the smallest system there is."""
    run_md(dimers(1), ensemble, 300, 2.0, 12_000, seed=1, log=tmp_path / "md.csv", log_interval=5, quiet=True,
           taut_fs=20, friction_per_ps=50)
    kinetic = log_of(tmp_path / "md.csv")["E_kin_eV"][100:] / (units.kB * 300)
    dof = 6 if ensemble == "nvt-langevin" else 1
    expected = gamma(dof / 2)
    for order in (1, 2):
        mean, error = blocks(kinetic**order)
        assert abs(mean - expected.moment(order)) < max(4 * error, 0.03 * expected.moment(order))
        assert error < 0.2 * expected.moment(order)


@pytest.mark.parametrize("count", [1, 5])
def test_bond_lengths_with_langevin(tmp_path, count):
    """Spread of the bond lengths r, p(r) = r² exp(-k (r - 1)² / 2kT)."""
    run_md(dimers(count), "nvt-langevin", 300, 2.0, 24_000 // count, seed=2, trajectory=tmp_path / "md.traj",
           trajectory_interval=5, friction_per_ps=50, quiet=True, log_interval=1000)
    from ase.io.trajectory import Trajectory

    with Trajectory(tmp_path / "md.traj") as frames:
        positions = np.array([frame.positions for frame in frames])
    lengths = np.linalg.norm(positions[100:, 1::2] - positions[100:, ::2], axis=2)
    r = np.linspace(0.5, 1.5, 2001)
    weight = r**2 * np.exp(-10 * (r - 1) ** 2 / (units.kB * 300))
    mean = (r * weight).sum() / weight.sum()
    spread = np.sqrt(((r - mean) ** 2 * weight).sum() / weight.sum())
    assert lengths.std() == pytest.approx(spread, rel=0.07)
    assert lengths.mean() == pytest.approx(mean, abs=0.004)


@pytest.mark.slow
@pytest.mark.parametrize("ensemble", THERMOSTATS)
def test_kinetic_energy_of_copper(tmp_path, ensemble):
    """Gamma distribution with 3N - 3 degrees of freedom (3N with Langevin noise): mean and variance."""
    atoms = copper((2, 2, 1))
    atoms.calc = EMT()
    run_md(atoms, ensemble, 400, 4.0, 6000, seed=1, log=tmp_path / "md.csv", log_interval=5, quiet=True,
           friction_per_ps=20)
    dof = 3 * len(atoms) - (0 if ensemble == "nvt-langevin" else 3)
    kinetic = log_of(tmp_path / "md.csv")["E_kin_eV"][100:] / (units.kB * 400)
    mean, error = blocks(kinetic)
    assert abs(mean - dof / 2) < max(4 * error, 0.005 * dof / 2)
    assert kinetic.var() == pytest.approx(dof / 2, rel=0.2)


def gas(dimensions, volume=160.0, count=16):
    """Atoms of mass 5 in a lattice potential whose volume is distributed as an ideal gas's."""
    atoms = Atoms(["Ar"] * count, positions=np.random.default_rng(0).random((count, 3)) * 5,
                  cell=np.eye(3) * volume ** (1 / 3), pbc=True)
    atoms.set_masses([5.0] * count)
    atoms.calc = Lattice(dimensions)
    return atoms


@pytest.mark.slow
@pytest.mark.parametrize("ensemble", ["npt-mtk", "npt-mtk-iso", "npt-xy"])
def test_volume_distribution_at_two_pressures(tmp_path, ensemble):
    """p(V) = V^N exp(-PV/kT): mean (N+1) kT/P and relative spread 1/sqrt(N+1), at two pressures."""
    for volume in (160.0, 240.0):
        atoms = gas(2 if ensemble == "npt-xy" else 3, volume)
        pressure = (len(atoms) + 1) * units.kB * 300 / volume / units.GPa
        run_md(atoms, ensemble, 300, 2.0, 20_000, pressure_GPa=pressure, taut_fs=50, taup_fs=100, zero_momentum=False,
               log=tmp_path / "md.csv", log_interval=5, max_temperature_K=1e6, quiet=True)
        volumes = log_of(tmp_path / "md.csv")["volume_A3"][400:] / volume
        mean, error = blocks(volumes, 10)
        assert abs(mean - 1) < max(4 * error, 0.01) and error < 0.04
        assert volumes.std() * np.sqrt(len(atoms) + 1) == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize(("ensemble", "strains"), [("npt-mtk", 6), ("npt-xy", 3), ("npt-mtk-iso", 1)])
def test_cell_momentum_has_the_right_number_of_degrees_of_freedom(monkeypatch, ensemble, strains):
    """Mean kinetic energy of the cell: kT/2 per free strain."""
    from ase_lode.dynamics.md import Simulation

    energies = []
    observe = Simulation._observe

    def record(self, thermodynamics):
        observe(self, thermodynamics)
        energies.append(self.integrator._get_cell_kinetic_energy() / (units.kB * 300))

    monkeypatch.setattr(Simulation, "_observe", record)
    atoms = gas(2 if ensemble == "npt-xy" else 3)
    run_md(atoms, ensemble, 300, 2.0, 4000, pressure_GPa=17 * units.kB * 300 / 160 / units.GPa, taut_fs=50, taup_fs=100,
           zero_momentum=False, max_temperature_K=1e6, quiet=True)
    assert 2 * np.mean(energies[200:]) == pytest.approx(strains, rel=0.3)
