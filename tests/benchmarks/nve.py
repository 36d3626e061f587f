"""Energy conservation of long runs at constant energy with the shipped potentials, and how far their domain reaches.

``python tests/benchmarks/nve.py [--system water peptide slab] [--temperature 300] [--ps 20] [--out FOLDER]`` warms up
with friction, then runs at constant energy with 0.5 fs and says drift (meV/atom/ps), fluctuation, and their
ratio to a run with half the step, which is 4 for an integrator of second order. A run that stops says what broke first.
With --out the same command goes on where it was interrupted. The hash in a row is that of the potential.
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
#: Length in ps over which the fluctuation is compared with that of half the step.
SHARED = 1.0


def slab(file="slab_xtb", group="adsorbed-down"):
    """Water on rock salt, or lithium, the lowest layer fixed."""
    atoms = next(frame for frame in ase.io.iread(EXAMPLES / "data" / f"{file}.extxyz.gz")
                 if frame.info["group"] == group)
    atoms.calc = None
    atoms.set_constraint(FixAtoms(mask=atoms.positions[:, 2] < atoms.positions[:, 2].min() + 1))
    return atoms


SYSTEMS = {"water": ("water", lambda: ase.io.read(EXAMPLES / "water_nvt" / "water64.xyz")),
           "peptide": ("dipeptides", lambda: ase.io.read(EXAMPLES / "peptide" / "peptide.xyz")),
           "slab": ("slab-xtb", slab),
           "lithium": ("water-li100", lambda: slab("lithium_water", "visited-bridge-300K"))}


def carried_on(checkpoint, calc, make, steps, **settings):
    """Atoms after steps of a run that goes on from its checkpoint if there is one; `make` gives them otherwise."""
    if checkpoint.exists():
        return run_md(restart=checkpoint, calc=calc, steps=steps).atoms
    return run_md(make(), calc=calc, steps=steps, checkpoint=checkpoint, **settings).atoms


def equilibrated(system, calc, temperature_K, ps, folder):
    """Atoms at a temperature, after a relaxation and a run with friction."""
    def relaxed():
        atoms = SYSTEMS[system][1]()
        atoms.calc = calc
        relax(atoms, fmax=0.3, steps=100, quiet=True)
        return atoms

    return carried_on(folder / "start.ckpt.npz", calc, relaxed, int(2000 * ps), ensemble="nvt-langevin",
                      temperature_K=temperature_K, timestep_fs=0.5, seed=1)


def conserved(start, calc, timestep_fs, ps, folder):
    """Time in ps, total energy per atom in meV, temperature in K, of a run at constant energy."""
    log = folder / f"nve_{timestep_fs:g}fs.csv"
    carried_on(log.with_suffix(".ckpt.npz"), calc, start.copy, int(1000 * ps / timestep_fs), ensemble="nve",
               timestep_fs=timestep_fs, log=log, trajectory=log.with_suffix(".traj"),
               trajectory_interval=max(1, int(50 / timestep_fs)), log_interval=max(1, round(2 / timestep_fs)))
    table = read_log(log)
    return table["time_ps"], 1000 * table["E_total_eV"] / len(start), table["temperature_K"]


def drift_and_fluctuation(time, energy):
    """Slope in meV/atom/ps with its standard error from ten blocks, and the spread about the line in meV/atom."""
    line = np.polyfit(time, energy, 1)
    means = np.array([block.mean() for block in np.array_split(energy, 10)])
    middles = np.array([block.mean() for block in np.array_split(time, 10)])
    rest = means - np.polyval(line, middles)
    error = np.sqrt((rest**2).sum() / 8 / ((middles - middles.mean()) ** 2).sum())
    return line[0], error, (energy - np.polyval(line, time)).std()


def report(system, temperature_K, ps, folder, n_threads):
    """Print the row of one system; whether it drifts no more than allowed."""
    calc = LODECalculator(SYSTEMS[system][0], on_extrapolation="ignore", n_threads=n_threads)
    head = f"{system:8s} {calc.potential.sha256[:8]} {temperature_K:5.0f} K"
    folder.mkdir(parents=True, exist_ok=True)
    spreads, shared = [], min(ps, SHARED)
    try:
        start = equilibrated(system, calc, temperature_K, min(2.0, ps / 4), folder)
        for timestep, length in ((0.5, ps), (0.25, shared)):
            time, energy, temperature = conserved(start, calc, timestep, length, folder)
            if timestep == 0.5:
                drift, error, _ = drift_and_fluctuation(time, energy)
                mean = temperature.mean()
            spreads.append(drift_and_fluctuation(time[time <= shared], energy[time <= shared])[2])
    except SimulationError as stopped:
        print(f"{head}: {stopped}", flush=True)
        return False
    print(f"{head}: drift {drift:+.5f} ± {error:.5f} meV/atom/ps over {ps:g} ps at {mean:.0f} K; fluctuation "
          f"{spreads[0]:.5f} meV/atom, {spreads[0] / spreads[1]:.2f} times that of half the step", flush=True)
    return abs(drift) <= LARGEST_DRIFT


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--temperature", type=float, default=300.0)
    parser.add_argument("--ps", type=float, default=20.0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, help="folder that keeps logs, plots, trajectories and checkpoints")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        good = [report(system, options.temperature, options.ps,
                       (options.out or Path(scratch)) / f"{system}_{options.temperature:g}K", options.threads)
                for system in options.system]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
