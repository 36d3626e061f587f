"""Where dynamics of water on lithium goes: minima and snapshots of a potential, for `lithium_water.py` to label.

Usage (a minute)::

    python lithium_water_visit.py POTENTIAL

The structures in `lithium_water_visited.extxyz` are of the linear model that was fitted to all other labels
(density {cutoff: 5, max_radial: 6, max_angular: 3}, an exterior field of charges Li 0, H 0.38, O -0.76), with other
seeds. Once labelled, they teach its successor where it goes by itself.
"""

import argparse
from pathlib import Path

import ase.io
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from lithium import BOTTOM, LATTICE, in_cell, slab
from lithium_water import VISITED

from ase_lode import LODECalculator, relax, run_md

#: Where O starts: from an atom of the upper layer, in its distances, and above it (Å).
SITES, HEIGHT = {"top": (0, 0), "bridge": (0.5, 0), "hollow": (0.5, 0.5)}, 2.2
#: Steps of 0.5 fs between the snapshots, their number, and temperatures (K).
EVERY, SNAPSHOTS, TEMPERATURES = 400, 4, (300, 500)


def minimum(site, calc):
    """Return the relaxed structure above a fixed layer."""
    water, surface = molecule("H2O"), slab()
    water.rotate(150, "x")
    atoms = in_cell(surface + water)
    corner = surface.positions[surface.positions[:, 2].argmax()]
    atoms.positions[-3:] += corner + [LATTICE * site[0], LATTICE * site[1], HEIGHT] - atoms.positions[-3]
    atoms.calc = calc
    atoms.set_constraint(FixAtoms(mask=atoms.positions[:, 2] < BOTTOM + 1))
    relax(atoms, fmax=0.02)
    return atoms


def bare(atoms, group):
    """Return the positions alone."""
    result = in_cell(Atoms(atoms.numbers, atoms.positions.round(5)))
    result.info["group"] = group
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("potential")
    parser.add_argument("--out", type=Path, default=VISITED, help="extxyz file to write")
    options = parser.parse_args()
    calc, minima, snapshots = LODECalculator(options.potential), [], []
    for number, (name, site) in enumerate(SITES.items()):
        atoms = minimum(site, calc)
        minima.append(bare(atoms, "visited-minima"))
        for kelvin in TEMPERATURES:
            walker, group = atoms.copy(), f"visited-{name}-{kelvin}K"
            walker.calc = calc
            trajectory = options.out.with_name(f"{group}.traj")
            run_md(walker, ensemble="nvt-bussi", temperature_K=kelvin, timestep_fs=0.5, steps=EVERY * SNAPSHOTS,
                   seed=number, trajectory=trajectory, trajectory_interval=EVERY)
            snapshots += [bare(frame, group) for frame in ase.io.read(trajectory, "1:")]
            trajectory.unlink()
    ase.io.write(options.out, minima + snapshots)
