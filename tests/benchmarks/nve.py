"""Energy conservation of long runs at constant energy with the shipped potentials, and how far their domain reaches.

``python tests/benchmarks/nve.py [--system water peptide slab] [--temperature 300] [--ps 20] [--out FOLDER]`` warms up
with friction, then runs at constant energy with 0.5 fs and says drift (meV/atom/ps), fluctuation, and their
ratio to a run with half the step, which is 4 for an integrator of second order. A run that stops says what broke first.
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import ase.io
import numpy as np
from ase.constraints import FixAtoms

from ase_lode import LODECalculator, relax, run_md
from ase_lode.dynamics.plots import read_log
from ase_lode.errors import SimulationError

EXAMPLES = Path(__file__).parents[2] / "md_examples"
#: Bound on the drift in meV/atom/ps.
LARGEST_DRIFT = 0.01


def slab():
    """Water on rock salt, its lowest layer fixed."""
    atoms = next(frame for frame in ase.io.iread(EXAMPLES / "data" / "slab_xtb.extxyz.gz", ":")
                 if frame.info["group"] == "adsorbed-down")
    atoms.calc = None
    atoms.set_constraint(FixAtoms(mask=atoms.positions[:, 2] < atoms.positions[:, 2].min() + 1))
    return atoms


SYSTEMS = {"water": ("water", lambda: ase.io.read(EXAMPLES / "water_nvt" / "water64.xyz")),
           "peptide": ("dipeptides", lambda: ase.io.read(EXAMPLES / "peptide" / "peptide.xyz")),
           "slab": ("slab-xtb", slab)}


def equilibrated(system, temperature_K, ps):
    """Atoms at a temperature, after a relaxation and a run with friction."""
    potential, make = SYSTEMS[system]
    atoms = make()
    atoms.calc = LODECalculator(potential, on_extrapolation="ignore")
    relax(atoms, fmax=0.3, steps=100, quiet=True)
    run_md(atoms, "nvt-langevin", temperature_K, 0.5, int(2000 * ps), seed=1, quiet=True)
    return atoms


def conserved(atoms, timestep_fs, ps, folder):
    """Time in ps, total energy per atom in meV, temperature in K, of a run at constant energy."""
    log = Path(folder) / f"nve_{timestep_fs:g}fs.csv"
    run_md(atoms, "nve", steps=int(1000 * ps / timestep_fs), timestep_fs=timestep_fs, log=log,
           plot=log.with_suffix(".png"), trajectory=log.with_suffix(".traj"),
           trajectory_interval=max(1, int(50 / timestep_fs)), log_interval=max(1, round(2 / timestep_fs)))
    table = read_log(log)
    return table["time_ps"], 1000 * table["E_total_eV"] / len(atoms), table["temperature_K"]


def drift_and_fluctuation(time, energy):
    """Slope in meV/atom/ps with its standard error from ten blocks, and the spread about the line in meV/atom."""
    line = np.polyfit(time, energy, 1)
    means = np.array([block.mean() for block in np.array_split(energy, 10)])
    middles = np.array([block.mean() for block in np.array_split(time, 10)])
    rest = means - np.polyval(line, middles)
    error = np.sqrt((rest**2).sum() / 8 / ((middles - middles.mean()) ** 2).sum())
    return line[0], error, (energy - np.polyval(line, time)).std()


def report(system, temperature_K, ps, folder):
    """Print the row of one system; whether it drifts no more than allowed."""
    head = f"{system:8s} {temperature_K:5.0f} K"
    try:
        start = equilibrated(system, temperature_K, min(2.0, ps / 4))
        spreads = []
        for timestep, length in ((0.5, ps), (0.25, ps / 4)):
            atoms = start.copy()
            atoms.calc = start.calc
            time, energy, temperature = conserved(atoms, timestep, length, folder)
            if timestep == 0.5:
                drift, error, _ = drift_and_fluctuation(time, energy)
                mean = temperature.mean()
            shared = time <= ps / 4
            spreads.append(drift_and_fluctuation(time[shared], energy[shared])[2])
    except SimulationError as stopped:
        print(f"{head}: {stopped}", flush=True)
        return False
    print(f"{head}: drift {drift:+.5f} ± {error:.5f} meV/atom/ps over {ps:g} ps at {mean:.0f} K; fluctuation "
          f"{spreads[0]:.5f} meV/atom, {spreads[0] / spreads[1]:.2f} times that of half the step", flush=True)
    return abs(drift) <= LARGEST_DRIFT


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", nargs="+", choices=SYSTEMS, default=["water", "peptide"])
    parser.add_argument("--temperature", type=float, default=300.0)
    parser.add_argument("--ps", type=float, default=20.0)
    parser.add_argument("--out", type=Path, help="folder that keeps logs, plots and trajectories")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        good = [report(system, options.temperature, options.ps, (options.out or Path(scratch)) / system)
                for system in options.system]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
