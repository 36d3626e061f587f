"""Many structures on several processes: single points, then relaxations, with the results of the plain loop."""

import argparse
import time
from pathlib import Path

import ase.io
import numpy as np

from ase_lode import LODECalculator, relax_many

DATA = Path(__file__).resolve().parent.parent / "data" / "slab_xtb.extxyz.gz"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", default="2", help="number of processes, or tcp://host:8786 of a Dask scheduler")
    parser.add_argument("--structures", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    calc = LODECalculator("slab-xtb", on_extrapolation="ignore")
    frames = ase.io.read(DATA, f":{options.structures}")
    began = time.perf_counter()
    predictions = calc.predict(frames, workers=options.workers)
    print(f"{len(predictions)} single points in {time.perf_counter() - began:.1f} s")
    plain = calc.predict(frames)
    same = all(one["energy"] == two["energy"] and np.array_equal(one["forces"], two["forces"])
               for one, two in zip(predictions, plain))
    print(f"the same to the last bit as one after the other: {same}")

    relaxed = list(relax_many(frames[-4:], calc, workers=options.workers, fmax=0.1))
    ase.io.write(options.out / "relaxed.extxyz", [result.atoms for result in relaxed])
    print(f"relaxed: {sum(result.converged for result in relaxed)} of {len(relaxed)}")


if __name__ == "__main__":  # the processes import this file
    main()
