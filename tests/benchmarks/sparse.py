"""Time of the long-range field where space is mostly empty: gas, slabs in vacuum, droplets; the liquid for comparison.

``python tests/benchmarks/sparse.py`` prints a Markdown table: processor time on one thread of a field with l ≤ 2, pairs
included, there and back, with the reach that is chosen and with the shortest, which is the liquid's.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from compare import water
from structures import water_box

from ase_lode.features import exterior
from ase_lode.features.exterior import ExteriorField
from ase_lode.hypers import FieldConfig
from ase_lode.neighbors import NeighborList
from ase_lode.system import System


def gas(molecules, distance):
    """Alanine dipeptides on a cubic grid, turned at random, without periodicity."""
    one, rng = ase.io.read(Path(__file__).parent / "alanine_dipeptide.xyz"), np.random.default_rng(0)
    side, atoms = round(molecules ** (1 / 3)), None
    for place in np.ndindex(side, side, side):
        other = one.copy()
        other.rotate(rng.uniform(0, 360), rng.normal(size=3))
        other.positions += distance * np.array(place) - other.positions.mean(axis=0)
        atoms = other if atoms is None else atoms + other
    atoms.pbc = False
    return atoms


def droplet(size):
    """The molecules nearest to a point of liquid water, about `size` atoms, isolated."""
    atoms = water_box(size)
    centre = atoms.cell.sum(axis=0) / 2
    molecules = atoms.positions.reshape(-1, 3, 3)
    nearest = np.argsort(np.linalg.norm(molecules[:, 0] - centre, axis=1))[: size // 3]
    atoms = atoms[(3 * nearest[:, None] + np.arange(3)).ravel()]
    atoms.pbc = False
    return atoms


def slab(pbc):
    """Water between vacuum in a cell of 60 Å."""
    atoms = water(192).repeat((4, 4, 1))
    atoms.cell[2] = [0, 0, 60]
    atoms.pbc = pbc
    return atoms


def measure(atoms, repeats):
    """Least µs per atom, and the reach in Å."""
    config = FieldConfig(exponent=1, max_angular=2, cutoff=5.0, cutoff_width=2.5, sources="charges",
                         charges={"H": 0.4, "C": 0.1, "N": -0.4, "O": -0.8})
    elements = list(config.charges)
    field, system, times = ExteriorField(config, elements, 1e-5), System.from_atoms(atoms), []
    species, neighbors, rng = system.species(elements), NeighborList(field.reach, skin=1.0), np.random.default_rng(0)
    for _ in range(repeats + 1):  # the first call searches neighbours and makes the kernel of the mesh
        system = replace(system, positions=system.positions + rng.normal(scale=1e-3, size=system.positions.shape))
        start = time.process_time()
        values, state = field.compute(system, species, neighbors, 1)
        field.pull_back(system, state, values, np.zeros((len(system), 3)), np.zeros((3, 3)), 1)
        times.append(time.process_time() - start)
    return 1e6 * min(times[1:]) / len(system), field.split(system).reach


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="file for the table")
    options = parser.parse_args()
    cases = {"liquid water": water(3072), "slab in 60 Å, TTT": slab(True), "slab, TTF": slab((True, True, False)),
             "125 dipeptides, 16 Å apart, FFF": gas(125, 16.0), "droplet, FFF": droplet(3000),
             "large droplet, FFF": droplet(10_000)}
    lines = ["| system | atoms | chosen: µs/atom | reach, Å | shortest reach: µs/atom |", "|---|---:|---:|---:|---:|"]
    measure(slab(True), 1)  # compiles
    for name, atoms in cases.items():
        chosen, reach = measure(atoms, options.repeats)
        usual, exterior.cheapest = exterior.cheapest, lambda *_: 1.0
        shortest = measure(atoms, 1)[0]
        exterior.cheapest = usual
        lines.append(f"| {name} | {len(atoms)} | {chosen:.0f} | {reach:.1f} | {shortest:.0f} |")
    print("\n".join(lines))
    if options.out:
        text = __doc__.splitlines()[0] + "\n\n" + __doc__.split("\n\n")[1].strip().replace(
            "prints a Markdown table:", "writes this:") + "\n\n"
        options.out.write_text("# Where space is mostly empty\n\n" + text + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
