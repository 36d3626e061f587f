"""The distributions that the ensembles sample with shipped potentials, each against what statistical mechanics says.

``python tests/benchmarks/ensembles.py [--case water peptide ...] [--ensemble nvt-bussi ...] [--ps 20] [--out FOLDER]``.
By physical_validation: kinetic energies against the exact ones (mean and width), and pairs of runs, two temperatures
for the energy's and two pressures for the volume's distribution, whose ratio must follow from the Boltzmann factor
(slope). Against quadrature: the lengths of an ion pair and of the O-H bonds of a molecule (mean and spread). Deviations
in standard errors, within 3; those of lengths also where they are within 3 %. With --out FOLDER the same command goes
on where it was interrupted.
"""

import argparse
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
import physical_validation as pv
from ase import Atoms, units
from nve import SYSTEMS, carried_on

sys.path.insert(0, str(Path(__file__).parents[1]))

from structures import water_box

from ase_lode import LODECalculator, relax
from ase_lode.dynamics.settings import CONSTANT_PRESSURE, CONSTANT_VOLUME

LARGEST, SHARE = 3.0, 0.03
THERMOSTATS = CONSTANT_VOLUME[1:]
UNITS = pv.data.UnitData(kb=units.kB, energy_str="eV", energy_conversion=96.485, length_str="Å", length_conversion=0.1,
                         volume_str="Å^3", volume_conversion=1e-3, temperature_str="K", temperature_conversion=1,
                         pressure_str="GPa", pressure_conversion=1e4, time_str="ps", time_conversion=1)


class Case(NamedTuple):
    """A shipped potential, its structure, pairs of K and GPa, apart by about two standard deviations, and the potential
    that the structure is relaxed and warmed up with if it is another.
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


#: Small, so that distributions are wide. `water` knows one density; pressures keep `water-npt` inside its densities.
CASES = {"water": Case("water", partial(water_box, 24), THERMOSTATS, (300.0, 350.0)),
         "peptide": Case("dipeptides", SYSTEMS["peptide"][1], THERMOSTATS, (300.0, 350.0)),
         "slab": Case("slab-xtb", SYSTEMS["slab"][1], THERMOSTATS, (300.0, 360.0)),
         "water-npt": Case("water-npt", partial(water_box, 24), ("npt-mtk-iso", "npt-mtk"), (300.0, 340.0), (0.1, 0.3),
                          "water"),
         "slab-xy": Case("slab-xtb", free_slab, ("npt-xy",), (300.0, 360.0), (0.0, 0.3))}


def simulate(start, calc, ensemble, temperature_K, pressure_GPa, ps, folder):
    """One run as physical_validation wants it, its first fifth left out, one row every 20 fs."""
    log = folder / f"{ensemble}_{temperature_K:g}_{pressure_GPa:g}.csv"
    npt = {"pressure_GPa": pressure_GPa, "taup_fs": 500} if ensemble in CONSTANT_PRESSURE else {}
    carried_on(log.with_suffix(".ckpt.npz"), calc, start.copy, int(2000 * ps), ensemble=ensemble,
               temperature_K=temperature_K, timestep_fs=0.5, seed=1, log=log, log_interval=40, **npt)
    table = np.genfromtxt(log, delimiter=",", names=True)
    table = table[len(table) // 5:]
    fixed = 3 * len(start) - start.get_number_of_degrees_of_freedom()
    conserved = 0 if fixed or ensemble == "nvt-langevin" else 3
    system = pv.data.SystemData(natoms=len(start), nconstraints=fixed, ndof_reduction_tra=conserved,
                                ndof_reduction_rot=0 if start.pbc.any() else conserved, mass=start.get_masses())
    volume = table["volume_A3"] if start.pbc.all() else np.ones(len(table))
    kind = pv.data.EnsembleData("NPT" if npt else "NVT", natoms=len(start), temperature=temperature_K,
                                **({"pressure": pressure_GPa} if npt else {"volume": volume[0]}))
    observed = pv.data.ObservableData(kinetic_energy=table["E_kin_eV"], potential_energy=table["E_pot_eV"],
                                      total_energy=table["E_total_eV"], volume=volume)
    return pv.data.SimulationData(units=UNITS, ensemble=kind, system=system, observables=observed)


def compared(what, one, other):
    """Rows of two runs; not a number where they are too short to overlap."""
    try:
        values = pv.ensemble.check(one, other, verbosity=0, bootstrap_seed=1)
    except pv.util.error.InputError:
        values = [np.nan]
    for value in values:
        yield what, value


def distributions(case, ensemble, ps, folder):
    """Rows of (what, deviation in standard errors) of an ensemble."""
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
    first = run(case.temperatures[0], case.pressures[0])
    mean, width = pv.kinetic_energy.distribution(first, strict=False, verbosity=0, bootstrap_seed=1)
    yield "kinetic energy, mean", mean
    yield "kinetic energy, width", width
    yield from compared("two temperatures", first, run(case.temperatures[1], case.pressures[0]))
    if ensemble in CONSTANT_PRESSURE:
        yield from compared("two pressures", first, run(case.temperatures[0], case.pressures[1]))


def pair(coordinates):
    """Ions at a distance, as positions, and the Jacobian of the distance."""
    r, = coordinates
    return np.array([[0, 0, 0], [0, 0, r]]), r**2


def bent(coordinates):
    """A molecule with two bonds of O and the angle between them, as positions, and its Jacobian."""
    first, second, angle = coordinates
    return (np.array([[0, 0, 0], [first, 0, 0], [second * np.cos(angle), second * np.sin(angle), 0]]),
            first**2 * second**2 * np.sin(angle))


#: Symbols, positions and Jacobian of internal coordinates, their grids (Å, rad), time step in fs.
MOLECULES = {"ion pair": ("NaCl", pair, (np.linspace(1.8, 3.4, 161),), 2.0),
             "molecule": ("OH2", bent, (np.linspace(0.75, 1.25, 26),) * 2 + (np.linspace(1.1, 2.7, 33),), 0.5)}


def expected_length(name, calc, temperature_K, momenta_free):
    """Mean and spread in Å of the distance between the first two atoms, by quadrature over all shapes.

    Thermostats that keep the angular momentum at zero leave out its fluctuations and with them a factor
    det(inertia)^(1/2) of the weight, over those axes that have any inertia.
    """
    symbols, place, grids, _ = MOLECULES[name]
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
    """Rows of (what, deviation in standard errors, relative deviation) of the distance of the first two atoms."""
    symbols, place, grids, timestep = MOLECULES[name]
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
    for what, values, exact in (("mean of the length", found, mean),
                                ("spread of the length", (found - found.mean()) ** 2, spread**2)):
        average, error = np.mean(values), blocked_error(values)
        yield what, (average - exact) / error, average / exact - 1 if values is found else np.sqrt(average / exact) - 1


def blocked_error(values, count=20):
    """Standard error of a mean from block averages."""
    means = [block.mean() for block in np.array_split(values, count)]
    return np.std(means, ddof=1) / np.sqrt(count)


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
            given = CASES[name].ensembles if name in CASES else THERMOSTATS
            for ensemble in (each for each in given if each in (options.ensemble or given)):
                rows = (distributions(CASES[name], ensemble, options.ps, folder) if name in CASES
                        else lengths(name, ensemble, options.ps, folder))
                for what, deviation, *share in rows:
                    good &= abs(deviation) <= LARGEST or any(abs(each) <= SHARE for each in share)
                    relative = "".join(f", {each:+.2%}" for each in share)
                    print(f"{name:10s} {ensemble:13s} {what:22s} {deviation:+6.2f} standard errors{relative}",
                          flush=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
