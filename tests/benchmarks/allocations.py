"""Memory that a step takes after the first ones: fresh pages from the system, and temporary arrays at their most.

A page fault costs about as much as filling the page, so arrays are kept and used again (`ase_lode.memory`); what NumPy
and Python allocate on the way is to stay small beside them.
``python tests/benchmarks/allocations.py [--potential water]``.
"""

import argparse
import resource
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from structures import water_box

from ase_lode import ExtrapolationWarning, LODECalculator


def faults():
    """Pages that this process has been given so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def steps_of(atoms, potential):
    """A function that moves the atoms a little and computes energy, forces and stress; it has been called before."""
    rng = np.random.default_rng(0)
    atoms.calc = LODECalculator(potential, on_extrapolation="ignore")

    def step():
        atoms.positions += rng.normal(scale=1e-3, size=atoms.positions.shape)
        atoms.calc.calculate(atoms, ["energy", "forces", "stress"])

    for _ in range(5):
        step()
    return step


def fresh_pages(step, repeats=20):
    """Pages taken in each of several steps."""
    counts = [faults()]
    for _ in range(repeats):
        step()
        counts.append(faults())
    return np.diff(counts)


def temporary(step):
    """Bytes held at most during a step beyond those held before it."""
    tracemalloc.start()
    step()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - before


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--potential", default="water")
    parser.add_argument("--molecules", type=int, nargs="+", default=[64, 1000, 8000])
    options = parser.parse_args()
    warnings.simplefilter("ignore", ExtrapolationWarning)
    print("atoms  fresh pages per step, median and most  temporary B/atom")
    for molecules in options.molecules:
        step = steps_of(water_box(molecules), options.potential)
        pages, held = fresh_pages(step), temporary(step) / (3 * molecules)
        print(f"{3 * molecules:5d}  {np.median(pages):10.0f} {pages.max():10d} {held:32.0f}")


if __name__ == "__main__":
    main()
