"""What the driver of molecular dynamics adds to the calculator's time, for every ensemble.

``python tests/benchmarks/driver.py [--steps 400] [--large 1000]``, on an idle machine; processor time on one thread,
with log, trajectory and checkpoints at their default intervals, without drawing, which keeps to 1 % of the time. What a
run costs once, at its start and end, is measured with a run of no steps and left out.
"""

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

import ase.io

sys.path.insert(0, str(Path(__file__).parents[1]))

from structures import water_box

from ase_lode import LODECalculator, relax, run_md
from ase_lode.dynamics.settings import CONSTANT_PRESSURE, CONSTANT_VOLUME

PEPTIDE = Path(__file__).parents[2] / "md_examples" / "peptide" / "peptide.xyz"


class Timed(LODECalculator):
    """A calculator that adds up the processor time of its evaluations."""

    seconds = 0.0

    def calculate(self, *arguments, **keywords):
        began = time.process_time()
        super().calculate(*arguments, **keywords)
        self.seconds += time.process_time() - began


def measure(atoms, ensemble, steps):
    """Milliseconds per step of the driver and of the calculator."""
    atoms = atoms.copy()
    with tempfile.TemporaryDirectory() as folder:
        files = {"log": f"{folder}/md.csv", "trajectory": f"{folder}/md.traj", "checkpoint": f"{folder}/md.ckpt.npz"}
        atoms.calc = Timed(atoms.info["potential"], n_threads=1, on_extrapolation="ignore")
        run_md(atoms, ensemble, 300, 0.25, 2, quiet=True)
        driver, calculator = [], []
        for count in (0, steps):
            atoms.calc.seconds = 0.0
            began = time.process_time()
            run_md(atoms, ensemble, 300, 0.25, count, quiet=True, **files)
            calculator.append(atoms.calc.seconds)
            driver.append(time.process_time() - began - atoms.calc.seconds)
    return 1000 * (driver[1] - driver[0]) / steps, 1000 * (calculator[1] - calculator[0]) / steps


def prepared(atoms, potential):
    """Atoms without close contacts, with the name of their potential."""
    atoms.calc = LODECalculator(potential, n_threads=1, on_extrapolation="ignore")
    relax(atoms, fmax=1.0, steps=30, quiet=True)
    atoms.info["potential"] = potential
    return atoms


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400, help="steps of the small systems")
    parser.add_argument("--large", type=int, default=1000, help="molecules of the large system")
    parser.add_argument("--ensemble", nargs="+", default=CONSTANT_VOLUME + CONSTANT_PRESSURE)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    peptide = prepared(ase.io.read(PEPTIDE), "dipeptides")
    small, large = (prepared(water_box(count), "water-npt") for count in (8, options.large))
    print("atoms  ensemble       driver ms  calculator ms  share %")
    for ensemble in options.ensemble:
        for atoms, steps in ((peptide, options.steps), (small, options.steps), (large, max(10, options.steps // 4))):
            if atoms is peptide and ensemble in CONSTANT_PRESSURE:
                continue
            driver, calculator = measure(atoms, ensemble, steps)
            print(f"{len(atoms):5d}  {ensemble:13s} {driver:10.3f} {calculator:14.2f} {100 * driver / calculator:8.2f}",
                  flush=True)


if __name__ == "__main__":
    main()
