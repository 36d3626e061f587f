"""Memory growth of 10,000 steps of molecular dynamics of 64 waters with the shipped potential, in bytes per step."""

import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from structures import water_box

from ase_lode import LODECalculator, relax, run_md


def resident():
    """Resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main(steps=10_000, batches=20):
    warnings.simplefilter("ignore")
    atoms = water_box(64)
    atoms.calc = LODECalculator("water", on_extrapolation="ignore")
    relax(atoms, fmax=0.5, steps=100, quiet=True)
    used = []
    for batch in range(batches):
        run_md(atoms, ensemble="nvt-langevin", temperature_K=300, timestep_fs=0.5, steps=steps // batches, seed=batch,
               quiet=True)
        used.append(resident())
    later = np.arange(batches // 4, batches) * steps // batches
    print(f"slope {np.polyfit(later, used[batches // 4:], 1)[0]:.1f} B/step over {steps} steps, "
          f"{used[-1] / 2**20:.0f} MiB in the end")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
