"""Start-up: seconds to a first energy with a warm and a cold cache of compiled loops, processes at once, --help.

Run on an idle machine: ``python tests/benchmarks/startup.py [--potential water] [--processes 4]``. Several processes
start at once with an empty cache and must all give the same energy.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

FIRST_ENERGY = """
import warnings
warnings.simplefilter("ignore")
from ase.build import molecule
from ase_lode import LODECalculator
atoms = molecule("H2O", vacuum=5.0)
atoms.pbc = True
atoms.calc = LODECalculator("{potential}", n_threads=1)
print(repr(atoms.get_potential_energy()))
"""


def start(command, cache):
    """A new process with its own cache folder."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    return subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.PIPE, text=True)


def timed(command, cache, processes=1):
    """Wall seconds until all processes have ended, and what each printed."""
    begin = time.perf_counter()
    running = [start(command, cache) for _ in range(processes)]
    printed = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"A process failed: {[process.returncode for process in running]}")
    return time.perf_counter() - begin, printed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--potential", default="water")
    parser.add_argument("--processes", type=int, default=4)
    options = parser.parse_args()
    first_energy = ["-c", FIRST_ENERGY.format(potential=options.potential)]
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as shared:
        cold, expected = timed(first_energy, cache)
        warm = min(timed(first_energy, cache)[0] for _ in range(3))
        together, energies = timed(first_energy, shared, options.processes)
        manual = min(timed(["-m", "ase_lode.cli", "--help"], cache)[0] for _ in range(3))
    if set(energies) != set(expected):
        raise SystemExit(f"Energies differ between processes: {sorted(set(energies) | set(expected))}")
    print(f"first energy: {cold:.1f} s cold, {warm:.2f} s warm; {options.processes} processes at once, cold: "
          f"{together:.1f} s, same energy; ase-lode --help: {manual:.2f} s")


if __name__ == "__main__":
    main()
