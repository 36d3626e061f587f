"""Spherical harmonics of pairs: computed anew against kept in memory.

Density and near field, and both passes of a network, meet the same pairs, but each computes their harmonics in its own
loop. This prints what that costs, and what writing them down once and reading them again would cost, on one thread:
``python tests/benchmarks/harmonics.py [--max-angular 4]``.
"""

import argparse
import time

import numpy as np

from ase_lode._loops.compile import LANES, inlined, load, loop, store
from ase_lode._loops.expand import _harmonics, _workspace
from ase_lode.features.expansion import harmonic_norms


@inlined
def _of_block(p, units, l_max, norm, unit, legendre, cosines, harmonics):
    for c in range(3):
        store(unit, (c, 0), load(units, (p, c, 0)))
    _harmonics(l_max, norm, unit, legendre, cosines, harmonics)


@loop
def computed(start, stop, units, l_max, norm, out):
    """Sum of the harmonics of blocks of pairs, out[lm, lane]."""
    unit, _, legendre, cosines, harmonics = _workspace(l_max)
    for p in range(start, stop):
        _of_block(p, units, l_max, norm, unit, legendre, cosines, harmonics)
        for lm in range(len(out)):
            store(out, (lm, 0), load(out, (lm, 0)) + load(harmonics, (lm, 0)))


@loop
def written(start, stop, units, l_max, norm, kept):
    """The harmonics of blocks of pairs, kept[block, lm, lane]."""
    unit, _, legendre, cosines, _ = _workspace(l_max)
    for p in range(start, stop):
        _of_block(p, units, l_max, norm, unit, legendre, cosines, kept[p])


@loop
def read(start, stop, kept, out):
    """Sum of kept harmonics."""
    for p in range(start, stop):
        for lm in range(len(out)):
            store(out, (lm, 0), load(out, (lm, 0)) + load(kept, (p, lm, 0)))


def seconds(work, *arguments, repeats=9):
    """Least time of several runs; the first compiles."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


def main(atoms=3000, neighbours=54):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-angular", type=int, default=4)
    l_max = parser.parse_args().max_angular
    blocks, norm = atoms * neighbours // LANES, harmonic_norms(l_max)
    units = np.random.default_rng(0).normal(size=(blocks, 3, LANES))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    kept, out = np.zeros((blocks, (l_max + 1) ** 2, LANES)), np.zeros(((l_max + 1) ** 2, LANES))
    for name, work, arguments in (("computed", computed, (units, l_max, norm, out)),
                                  ("written", written, (units, l_max, norm, kept)), ("read", read, (kept, out))):
        each = 1e6 * seconds(work, 0, blocks, *arguments) / atoms
        print(f"{name:>9}: {each:.2f} µs per atom of {neighbours} neighbours")


if __name__ == "__main__":
    main()
