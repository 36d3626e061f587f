"""The distributions that the ensembles sample with shipped potentials, each against what statistical mechanics says.

``python tests/benchmarks/ensembles.py [--case water peptide ...] [--ensemble nvt-bussi ...] [--ps 20] [--out FOLDER]``.
Kinetic energies against the exact ones (mean and variance). Pairs of runs, at two temperatures and at two pressures:
the logarithm of the ratio of their densities is linear, ln p₂/p₁ = const + (β₁ - β₂)(E + PV) or const + β(P₁ - P₂)V,
and the slope, by maximum likelihood, must be the exact one (Shirts, J. Chem. Theory Comput. 9, 909 (2013)). Against
quadrature: the lengths of an ion pair and of the O-H bonds of a molecule (mean and spread). Every value is divided by
the exact one and has a standard error from blocks longer than what correlates; 1 must be within three of them, or for
lengths within 3 %. With --out FOLDER the same command goes on where it was interrupted.
"""

import argparse
import sys
import tempfile
import warnings
import zlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from nve import SYSTEMS, carried_on
from scipy.optimize import minimize
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))

from structures import water_box

from ase_lode import LODECalculator, relax
from ase_lode.dynamics.settings import CONSTANT_PRESSURE, CONSTANT_VOLUME

LARGEST, SHARE = 3.0, 0.03
THERMOSTATS = CONSTANT_VOLUME[1:]
#: Blocks of a run.
BLOCKS = 10


class Case(NamedTuple):
    """A shipped potential, its structure, pairs of K and GPa, apart by one to three standard deviations, and the
    potential that the structure is relaxed and warmed up with if it is another.
    """

    potential: str
    make: callable
    ensembles: tuple
    temperatures: tuple
    pressures: tuple = (0.0, 0.0)
    warmed_by: str = None


def free_slab():
    """Water on rock salt without fixed atoms, which barostats cannot keep."""
    atoms = SYSTEMS["slab"][1]()
    atoms.set_constraint()
    return atoms


def salt():
    """Rock salt, 32 atoms."""
    return bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 2, 1)


#: Small, so that distributions are wide; a liquid's cell has no shape. `water` knows one density; pressures keep
#: `water-npt` inside its densities, and rock salt, which `slab-xtb` knows as slabs alone, stiff.
CASES = {"water": Case("water", partial(water_box, 24), THERMOSTATS, (300.0, 350.0)),
         "peptide": Case("dipeptides", SYSTEMS["peptide"][1], THERMOSTATS, (300.0, 350.0)),
         "slab": Case("slab-xtb", SYSTEMS["slab"][1], THERMOSTATS, (300.0, 360.0)),
         "water-npt": Case("water-npt", partial(water_box, 24), ("npt-mtk-iso",), (300.0, 340.0), (0.1, 0.3), "water"),
         "salt": Case("slab-xtb", salt, ("npt-mtk",), (300.0, 360.0), (1.0, 1.5)),
         "slab-xy": Case("slab-xtb", free_slab, ("npt-xy",), (300.0, 360.0), (0.0, 0.3))}


def simulate(start, calc, ensemble, temperature_K, pressure_GPa, ps, folder):
    """The log of one run, its first fifth left out, one row every 20 fs.

    Every run has a seed of its own: with one for all, a thermostat that scales all momenta alike would move all runs
    alike, and their errors would not be independent.
    """
    log = folder / f"{ensemble}_{temperature_K:g}_{pressure_GPa:g}.csv"
    npt = {"pressure_GPa": pressure_GPa, "taup_fs": 500} if ensemble in CONSTANT_PRESSURE else {}
    carried_on(log.with_suffix(".ckpt.npz"), calc, start.copy, int(2000 * ps), ensemble=ensemble,
               temperature_K=temperature_K, timestep_fs=0.5, seed=zlib.crc32(f"{folder.name} {log.stem}".encode()),
               log=log, log_interval=40, **npt)
    table = np.genfromtxt(log, delimiter=",", names=True)
    return table[len(table) // 5:]


def distributions(case, ensemble, ps, folder):
    """Rows of (what, ratio to the exact value, its standard error) of an ensemble."""
    warming, calc = (LODECalculator(name, n_threads=1, on_extrapolation="ignore")
                     for name in (case.warmed_by or case.potential, case.potential))

    def relaxed():
        atoms = case.make()
        atoms.calc = warming
        relax(atoms, fmax=0.3, steps=100, quiet=True)
        return atoms

    start = carried_on(folder / "start.ckpt.npz", warming, relaxed, 4000, ensemble="nvt-langevin", timestep_fs=0.5,
                       temperature_K=case.temperatures[0])
    run = partial(simulate, start, calc, ensemble, ps=ps, folder=folder)
    (cold, hot), (low, high) = case.temperatures, case.pressures
    first = run(cold, low)
    yield from kinetic(first, cold)
    betas = 1 / (units.kB * np.array([cold, hot]))
    enthalpies = [table["E_pot_eV"] + (low * units.GPa * table["volume_A3"] if ensemble in CONSTANT_PRESSURE else 0)
                  for table in (first, run(hot, low))]
    yield "two temperatures", *relative(*slope(*enthalpies), betas[0] - betas[1])
    if ensemble in CONSTANT_PRESSURE:
        # A slab's volume is its area times the constant height.
        volumes = [table["volume_A3"] for table in (first, run(cold, high))]
        yield "two pressures", *relative(*slope(*volumes), betas[0] * (low - high) * units.GPa)


def kinetic(table, temperature_K):
    """Rows of the kinetic energy: a gamma distribution of mean and variance dof/2, in units of kT and (kT)²."""
    half = round(float(np.median(2 * table["E_kin_eV"] / (units.kB * table["temperature_K"])))) / 2
    energies = table["E_kin_eV"] / (units.kB * temperature_K)
    for what, values in (("kinetic energy, mean", energies), ("kinetic energy, variance", (energies - half) ** 2)):
        yield what, *relative(values.mean(), blocked_error(values), half)


def slope(one, other):
    """Slope of ln p_other/p_one by maximum likelihood, and its standard error by a jackknife over blocks."""
    runs = [np.array_split(values, BLOCKS) for values in (one, other)]
    variance = 0.0
    for run in range(2):
        fewer = []
        for left_out in range(BLOCKS):
            kept = [one, other]
            kept[run] = np.concatenate(runs[run][:left_out] + runs[run][left_out + 1:])
            fewer.append(logistic(*kept))
        variance += (BLOCKS - 1) * np.var(fewer)
    return logistic(one, other), np.sqrt(variance)


def logistic(one, other):
    """Slope of the logistic regression that tells samples of one run from those of the other."""
    values = np.concatenate([one, other])
    middle, scale = values.mean(), values.std()
    design = np.stack([np.ones(len(values)), (values - middle) / scale], axis=1)
    labels = np.repeat([0.0, 1.0], [len(one), len(other)])

    def cost(weights):
        logits = design @ weights
        return (np.logaddexp(0, logits) - labels * logits).sum(), design.T @ (expit(logits) - labels)

    return minimize(cost, np.zeros(2), jac=True, method="BFGS").x[1] / scale


def relative(found, error, exact):
    """Value and standard error divided by the exact value."""
    return found / exact, error / abs(exact)


def pair(coordinates):
    """Ions at a distance, as positions, and the Jacobian of the distance."""
    r, = coordinates
    return np.array([[0, 0, 0], [0, 0, r]]), r**2


def bent(coordinates):
    """A molecule with two bonds of O and the angle between them, as positions, and its Jacobian."""
    first, second, angle = coordinates
    return (np.array([[0, 0, 0], [first, 0, 0], [second * np.cos(angle), second * np.sin(angle), 0]]),
            first**2 * second**2 * np.sin(angle))


#: Symbols, positions and Jacobian of internal coordinates, their grids (Å, rad), time step in fs, ensembles.
MOLECULES = {"ion pair": ("NaCl", pair, (np.linspace(1.8, 3.4, 161),), 2.0, THERMOSTATS),
             "molecule": ("OH2", bent, (np.linspace(0.75, 1.25, 26),) * 2 + (np.linspace(1.1, 2.7, 33),), 0.5,
                          ("nvt-bussi", "nvt-langevin"))}


def expected_length(name, calc, temperature_K, momenta_free):
    """Mean and spread in Å of the distance between the first two atoms, by quadrature over all shapes.

    Thermostats that keep the angular momentum at zero leave out its fluctuations and with them a factor
    det(inertia)^(1/2) of the weight, over those axes that have any inertia.
    """
    symbols, place, grids, *_ = MOLECULES[name]
    atoms = Atoms(symbols)
    atoms.calc = calc
    lengths, energies, measures = [], [], []
    for coordinates in np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, len(grids)):
        atoms.positions[:], measure = place(coordinates)
        inertia = atoms.get_moments_of_inertia()
        measures.append(measure if momenta_free else measure / np.sqrt(np.prod(inertia[inertia > 1e-9])))
        lengths.append(coordinates[0])
        energies.append(atoms.get_potential_energy())
    lengths, energies = np.array(lengths), np.array(energies)
    weight = np.array(measures) * np.exp(-(energies - energies.min()) / (units.kB * temperature_K))
    mean = np.average(lengths, weights=weight)
    return mean, np.sqrt(np.average((lengths - mean) ** 2, weights=weight))


def lengths(name, ensemble, ps, folder):
    """Rows of (what, ratio to the exact value, its standard error) of the distance of the first two atoms."""
    symbols, place, grids, timestep, _ = MOLECULES[name]
    calc = LODECalculator("slab-xtb", n_threads=1, on_extrapolation="ignore")
    trajectory = folder / f"{ensemble}.traj"
    every = round(10 / timestep)

    def start():
        atoms = Atoms(symbols, place([np.median(grid) for grid in grids])[0])
        atoms.calc = calc
        relax(atoms, fmax=0.01, quiet=True)
        return atoms

    carried_on(folder / f"{ensemble}.ckpt.npz", calc, start, int(1000 * ps / timestep), ensemble=ensemble,
               temperature_K=300, timestep_fs=timestep, seed=1, trajectory=trajectory, trajectory_interval=every)
    with ase.io.Trajectory(trajectory) as frames:
        found = np.array([frame.get_distance(0, 1) for frame in frames])
    found = found[len(found) // 20:]
    mean, spread = expected_length(name, calc, 300, ensemble == "nvt-langevin")
    yield "mean of the length", *relative(found.mean(), blocked_error(found), mean)
    squares = (found - found.mean()) ** 2
    width = np.sqrt(squares.mean())
    yield "spread of the length", *relative(width, blocked_error(squares) / (2 * width), spread)


def blocked_error(values):
    """Standard error of a mean from block averages."""
    means = [block.mean() for block in np.array_split(values, BLOCKS)]
    return np.std(means, ddof=1) / np.sqrt(BLOCKS)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="+", default=[*CASES, *MOLECULES], choices=[*CASES, *MOLECULES])
    parser.add_argument("--ensemble", nargs="+", choices=THERMOSTATS + CONSTANT_PRESSURE)
    parser.add_argument("--ps", type=float, default=20.0)
    parser.add_argument("--out", type=Path, help="folder that keeps logs and checkpoints")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.case:
            folder = (options.out or Path(scratch)) / name.replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            given = CASES[name].ensembles if name in CASES else MOLECULES[name][-1]
            for ensemble in (each for each in given if each in (options.ensemble or given)):
                rows = (distributions(CASES[name], ensemble, options.ps, folder) if name in CASES
                        else lengths(name, ensemble, options.ps, folder))
                for what, ratio, error in rows:
                    deviation = (ratio - 1) / error
                    good &= abs(deviation) <= LARGEST or (name in MOLECULES and abs(ratio - 1) <= SHARE)
                    print(f"{name:10s} {ensemble:13s} {what:25s} {ratio:.4f} ± {error:.4f} times the exact value, "
                          f"{deviation:+.2f} standard errors", flush=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
