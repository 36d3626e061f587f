"""Water on a rock-salt (001) slab with GFN1-xTB: relaxed and rattled minima, rigid scans of the height, MD snapshots.

Usage (about twenty minutes; interrupted, run it again)::

    OMP_NUM_THREADS=1 python slab.py

Every structure, the bare slab and the single molecule too, has the same periodic cell. The teacher sees only the
Gamma point and its energy drifts with the cell's volume, so differences have a meaning in one cell only.
"""

from functools import cache, partial

import numpy as np
from ase.build import bulk, molecule
from ase.optimize import LBFGS
from batches import fill, random_of
from labels import label
from levels import LEVELS
from sampling import snapshots

LEVEL = "GFN1-xTB"
PROPERTIES = ("energy", "forces", "charges")
#: Cubic lattice constant and height of the cell (Å); the slab is two layers thick, so 22 Å are empty.
LATTICE, HEIGHT = 5.5, 25.0
#: Heights of the molecule's lowest atom above the top layer (Å) in a scan.
SCAN = (1.6, 1.8, 2.0, 2.2, 2.4, 2.7, 3.0, 3.4, 3.8, 4.3, 4.8, 5.4, 6.0)
#: Structures with a force component above this (eV/Å) are left out: no trajectory gets there.
LARGEST_FORCE = 10.0
#: Start of each relaxation: position of O relative to a surface Na (Å), turns of the molecule about x and z (degrees).
#: The molecule starts in the yz plane with its hydrogens down.
MINIMA = {
    "down": ((0.3, 0.3, 2.9), 0, 0),
    "flat": ((0.3, 0.3, 2.4), 90, 45),
    "chlorine": ((2.4, 0.2, 3.2), 60, 0),
}


def bare():
    """Return the perfect slab: 2 x 2 cubic cells, 16 Na and 16 Cl in two layers."""
    slab = bulk("NaCl", "rocksalt", a=LATTICE, cubic=True) * (2, 2, 1)
    return _in_cell(slab)


def with_water(slab, position, turn_x=0, turn_z=0):
    """Return the slab and a molecule whose O is at ``position`` (Å)."""
    water = molecule("H2O")
    water.rotate(turn_x, "x")
    water.rotate(turn_z, "z")
    water.positions += position - water.positions[0]
    return slab + water


def surface_sodium(slab):
    """Return the position of a Na in the top layer."""
    top = slab.positions[:, 2] > slab.positions[:, 2].max() - 0.5
    return slab.positions[top & (slab.numbers == 11)][0]


def single_water():
    """Return the molecule alone, in the slab's cell."""
    water = molecule("H2O")
    water.positions += HEIGHT / 2
    return _in_cell(water)


def relaxed(atoms):
    """Return the nearest minimum (forces below 0.02 eV/Å, at most 80 steps)."""
    atoms = atoms.copy()
    atoms.calc = LEVELS[LEVEL]()
    LBFGS(atoms, logfile=None).run(fmax=0.02, steps=80)
    return atoms


@cache
def relaxed_bare():
    """Return the relaxed slab."""
    return relaxed(bare())


@cache
def minimum(name):
    """Return one adsorption minimum, relaxed from ``MINIMA``."""
    slab = relaxed_bare()
    shift, turn_x, turn_z = MINIMA[name]
    return relaxed(with_water(slab, surface_sodium(slab) + shift, turn_x, turn_z))


def rattled(group, kind, start, displacements):
    """Return copies of the start with random displacements (Å, rms over Na and Cl; a third of it for the molecule)."""
    random, start, structures = random_of(group), start(), []
    for displacement in displacements:
        atoms = start.copy()
        scale = np.where(np.isin(atoms.numbers, (11, 17)), displacement, displacement / 3)[:, None]
        atoms.positions += random.normal(size=atoms.positions.shape) * scale / np.sqrt(3)
        structures.append(atoms)
    return _labelled(structures, kind, group)


def scan(group):
    """Return one random orientation above one random point of one rattled slab, at the heights of ``SCAN``."""
    random, slab, water = random_of(group), relaxed_bare().copy(), molecule("H2O")
    slab.positions += random.normal(scale=0.06, size=slab.positions.shape)
    water.positions += random.normal(scale=0.02, size=water.positions.shape)
    water.euler_rotate(*random.uniform(0, 360, size=3))
    top = slab.positions[:, 2].max()
    x, y = random.uniform(0, LATTICE, size=2)
    structures = []
    for height in SCAN:
        placed = water.copy()
        placed.positions += [x, y, top + height] - np.array([*water.positions[0, :2], water.positions[:, 2].min()])
        structures.append(slab + placed)
    return _labelled(structures, "scan", group)


def trajectory(group, name, temperature_K):
    """Return 20 snapshots 15 fs apart, after 60 fs, from one of the minima; every atom moves."""
    frames = snapshots(
        minimum(name), LEVEL, temperature_K, random_of(group), count=20, every=15, discard=60, timestep_fs=1.0
    )
    return _labelled(frames, "md", group)


def batches():
    """Return the batches by group, the cheapest first."""
    work = {
        "bare-relaxed": partial(rattled, "bare-relaxed", "bare", relaxed_bare, [0]),
        "molecule-relaxed": partial(rattled, "molecule-relaxed", "molecule", partial(relaxed, single_water()), [0]),
    }
    for turn in range(1, 5):
        group = f"bare-{turn}"
        work[group] = partial(rattled, group, "bare", bare, np.linspace(0.05, 0.35, 12))
    for turn in range(1, 4):
        group = f"molecule-{turn}"
        work[group] = partial(rattled, group, "molecule", partial(turned_water, group), np.linspace(0.05, 0.4, 10))
    for turn in range(1, 11):
        work[f"scan-{turn}"] = partial(scan, f"scan-{turn}")
    for name in MINIMA:
        group = f"adsorbed-{name}"
        work[group] = partial(rattled, group, "adsorbed", partial(minimum, name), np.linspace(0, 0.35, 16))
    for name, kelvin in (("down", 300), ("flat", 300), ("down", 450), ("chlorine", 600)):
        group = f"md-{name}-{kelvin}K"
        work[group] = partial(trajectory, group, name, kelvin)
    return work


def turned_water(group):
    """Return the single molecule in a random orientation."""
    water = single_water()
    water.euler_rotate(*random_of("turn " + group).uniform(0, 360, size=3), center="COM")
    return water


def _in_cell(atoms):
    atoms.cell, atoms.pbc = [2 * LATTICE, 2 * LATTICE, HEIGHT], True
    return atoms


def _labelled(structures, kind, group):
    frames = [label(atoms, LEVEL, PROPERTIES, config_type=kind, group=group) for atoms in structures]
    return [atoms for atoms in frames if abs(atoms.get_forces()).max() < LARGEST_FORCE]


if __name__ == "__main__":
    fill("slab_xtb.extxyz.gz", batches())
