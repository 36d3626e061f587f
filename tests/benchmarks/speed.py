"""Time of one evaluation of a shipped potential, per atom and on one and two threads: energy, forces and stress, or
dipole and polarizability of a potential that has no energies.

Run on an idle machine: ``python tests/benchmarks/speed.py [--potential water] [--molecules 216 1000]``.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from structures import water_box

from ase_lode import ExtrapolationWarning, LODECalculator


def time_per_atom(atoms, potential, n_threads, repeats=7):
    """Median time of an evaluation in µs per atom, that of the processors, and the first call's seconds.

    The atoms move a little before each evaluation.
    """
    rng = np.random.default_rng(0)
    atoms.calc = LODECalculator(potential, n_threads=n_threads, on_extrapolation="ignore")
    has_forces = "forces" in atoms.calc.implemented_properties
    evaluate = atoms.get_forces if has_forces else lambda: atoms.calc.respond(atoms)
    start = time.perf_counter()
    evaluate()
    first = time.perf_counter() - start
    times, processor = [], []
    for _ in range(repeats):
        atoms.positions += rng.normal(scale=1e-3, size=atoms.positions.shape)
        start = time.perf_counter(), time.process_time()
        evaluate()
        times.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return 1e6 * np.median(times) / len(atoms), 1e6 * np.median(processor) / len(atoms), first


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--potential", default="water")
    parser.add_argument("--molecules", type=int, nargs="+", default=[64, 216, 1000])
    options = parser.parse_args()
    warnings.simplefilter("ignore", ExtrapolationWarning)
    print("molecules  atoms  threads  µs/atom  processor µs/atom  first call s")
    for molecules in options.molecules:
        for n_threads in (1, 2):
            per_atom, processor, first = time_per_atom(water_box(molecules), options.potential, n_threads)
            print(f"{molecules:9d} {3 * molecules:6d} {n_threads:8d} {per_atom:8.1f} {processor:18.1f} {first:13.2f}")


if __name__ == "__main__":
    main()
