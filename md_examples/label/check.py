"""Label some frames of a file again, print the largest difference of every label; it should be the teacher's noise.

Usage::

    OMP_NUM_THREADS=1 python check.py ../data/ethanol_xtb.extxyz --every 20
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from labels import label

#: Largest difference allowed, in the label's unit: what another machine and compiler may change.
TOLERANCE = 1e-4


def differences(frames):
    """Return, per label, the largest absolute difference between the frames' labels and new ones."""
    largest = {}
    for atoms in frames:
        again = label(atoms, atoms.info["method"], sorted(atoms.calc.results), charge=atoms.info.get("charge", 0))
        for name, value in atoms.calc.results.items():
            largest[name] = max(largest.get(name, 0.0), np.abs(value - again.calc.results[name]).max())
    return largest


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path, help="labelled extxyz file")
    parser.add_argument("--every", type=int, default=10, help="check one frame in so many")
    options = parser.parse_args()
    frames = ase.io.read(options.file, f"::{options.every}")
    found = differences(frames)
    print(f"{len(frames)} frames of {options.file.name}:", ", ".join(f"{k} {v:.1e}" for k, v in found.items()))
    raise SystemExit(max(found.values()) > TOLERANCE)
