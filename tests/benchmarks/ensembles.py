"""The distributions that NVT runs of `water` and NPT runs of `water-npt` sample, judged by physical_validation.

``python tests/benchmarks/ensembles.py [--ps 20] [--ensemble nvt-bussi ...]``: kinetic energies against the exact ones
(mean and width, in standard errors), and pairs of runs, two temperatures for the energy's and two pressures for the
volume's distribution, whose ratio must follow from the Boltzmann factor (slope, in standard errors). All within 3.
With --out FOLDER the same command goes on where it was interrupted.
"""

import argparse
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import ase.io
import numpy as np
import physical_validation as pv
from ase import units
from nve import carried_on

from ase_lode import LODECalculator, relax
from ase_lode.dynamics.settings import CONSTANT_PRESSURE

WATER = Path(__file__).parents[2] / "md_examples" / "water_nvt" / "water64.xyz"
#: Temperatures in K and pressures in GPa of a pair: apart by two standard deviations, where the ratio says most.
TEMPERATURES, PRESSURES = (300.0, 325.0), (0.0, 0.1)
LARGEST = 3.0
UNITS = pv.data.UnitData(kb=units.kB, energy_str="eV", energy_conversion=96.485, length_str="Å", length_conversion=0.1,
                         volume_str="Å^3", volume_conversion=1e-3, temperature_str="K", temperature_conversion=1,
                         pressure_str="GPa", pressure_conversion=1e4, time_str="ps", time_conversion=1)


def calculator(ensemble):
    """Of `water-npt` at constant pressure alone: `water` knows one density, from fifteen times as many cells."""
    return LODECalculator("water-npt" if ensemble in CONSTANT_PRESSURE else "water", on_extrapolation="ignore")


def simulate(atoms, ensemble, temperature_K, pressure_GPa, ps, folder):
    """One run as physical_validation wants it, its first fifth left out, one row every 20 fs."""
    calc = calculator(ensemble)
    log = folder / f"{ensemble}_{temperature_K:g}_{pressure_GPa:g}.csv"
    npt = {"pressure_GPa": pressure_GPa, "taup_fs": 500} if ensemble in CONSTANT_PRESSURE else {}
    carried_on(log.with_suffix(".ckpt.npz"), calc, atoms.copy, int(2000 * ps), ensemble=ensemble,
               temperature_K=temperature_K, timestep_fs=0.5, seed=1, log=log, log_interval=40, **npt)
    table = np.genfromtxt(log, delimiter=",", names=True)
    table = table[len(table) // 5:]
    langevin = ensemble == "nvt-langevin"
    system = pv.data.SystemData(natoms=len(atoms), nconstraints=0, ndof_reduction_tra=0 if langevin else 3,
                                ndof_reduction_rot=0, mass=atoms.get_masses())
    volume = table["volume_A3"]
    kind = pv.data.EnsembleData("NPT" if npt else "NVT", natoms=len(atoms), temperature=temperature_K,
                                **({"pressure": pressure_GPa} if npt else {"volume": volume[0]}))
    observed = pv.data.ObservableData(kinetic_energy=table["E_kin_eV"], potential_energy=table["E_pot_eV"],
                                      total_energy=table["E_total_eV"], volume=volume)
    return pv.data.SimulationData(units=UNITS, ensemble=kind, system=system, observables=observed)


def relaxed(calc):
    """The box of water without large forces."""
    atoms = ase.io.read(WATER)
    atoms.calc = calc
    relax(atoms, fmax=0.3, steps=100, quiet=True)
    return atoms


def kinetic(data):
    """Deviations of mean and width of the kinetic energy, in standard errors."""
    return pv.kinetic_energy.distribution(data, strict=False, verbosity=0, bootstrap_seed=1)


def compared(what, one, other):
    """Rows of two runs; not a number where they are too short to overlap."""
    try:
        values = pv.ensemble.check(one, other, verbosity=0, bootstrap_seed=1)
    except pv.util.error.InputError:
        values = [np.nan]
    for value in values:
        yield what, value


def pairs(atoms, ensemble, ps, folder):
    """Rows of (what, deviation in standard errors) of an ensemble."""
    first = simulate(atoms, ensemble, TEMPERATURES[0], PRESSURES[0], ps, folder)
    hot = simulate(atoms, ensemble, TEMPERATURES[1], PRESSURES[0], ps, folder)
    mean, width = kinetic(first)
    yield "kinetic energy, mean", mean
    yield "kinetic energy, width", width
    yield from compared("two temperatures", first, hot)
    if ensemble in CONSTANT_PRESSURE:
        dense = simulate(atoms, ensemble, TEMPERATURES[0], PRESSURES[1], ps, folder)
        yield from compared("two pressures", first, dense)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ps", type=float, default=20.0)
    parser.add_argument("--ensemble", nargs="+", default=["nvt-bussi", "nvt-langevin", "nvt-nhc", "npt-mtk-iso"])
    parser.add_argument("--out", type=Path, help="folder that keeps logs and checkpoints")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for ensemble in options.ensemble:
            calc = calculator(ensemble)
            start = folder / f"{calc.potential.name}.ckpt.npz"
            atoms = carried_on(start, calc, partial(relaxed, calc), int(2000 * min(2.0, options.ps / 4)),
                               ensemble="nvt-langevin", temperature_K=300, timestep_fs=0.5)
            for what, deviation in pairs(atoms, ensemble, options.ps, folder):
                good &= abs(deviation) <= LARGEST
                print(f"{ensemble:13s} {what:22s} {deviation:+6.2f} standard errors", flush=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
