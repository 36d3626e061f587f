"""Pairs of ions, and an ion with water, rigid and pulled apart, isolated, with GFN1-xTB.

Opposite ions are left out: far apart, GFN1-xTB takes the electron from the anion to the cation.

Usage (seconds)::

    OMP_NUM_THREADS=1 python dimers.py
"""

from functools import cache, partial

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.optimize import LBFGS
from batches import fill, random_of
from labels import label
from levels import LEVELS

LEVEL = "GFN1-xTB"
PROPERTIES = ("energy", "forces")
ORIENTATIONS = 4
#: Closest distance of two atoms at the start of each curve (Å): no shared protons.
CONTACT = 2.2
#: Distance of the centres of mass beyond the start of the curve (Å).
APART = (0, 0.3, 0.6, 1.0, 1.5, 2.0, 2.6, 3.3, 4.2, 5.3, 6.6, 8.2, 10.0)


def formate():
    """Formic acid without its acidic hydrogen."""
    ion = molecule("HCOOH")
    del ion[3]
    return ion


def acetate():
    """Acetic acid without its acidic hydrogen."""
    ion = molecule("CH3COOH")
    del ion[3]
    return ion


def methylammonium():
    """Ethane with one carbon made nitrogen."""
    ion = molecule("C2H6")
    ion.symbols[1] = "N"
    return ion


def guanidinium():
    """A carbon and three amino groups in one plane."""
    ion = Atoms("C", [[0, 0, 0]])
    for turn in (0, 120, 240):
        group = Atoms("NHH", [[1.33, 0, 0], [1.84, 0.87, 0], [1.84, -0.87, 0]])
        group.rotate(turn, "z")
        ion += group
    return ion


#: The two molecules of each pair, and their charges in e.
PAIRS = {
    "acetate-formate": ((acetate, -1), (formate, -1)),
    "guanidinium-methylammonium": ((guanidinium, 1), (methylammonium, 1)),
    "formate-water": ((formate, -1), (partial(molecule, "H2O"), 0)),
}


@cache
def relaxed(build, charge):
    """Return a molecule relaxed alone, its centre of mass at the origin, and its energy in eV."""
    ion = build()
    ion.calc = LEVELS[LEVEL]()
    ion.calc.set(charge=charge)
    LBFGS(ion, logfile=None).run(fmax=0.01)
    energy = ion.get_potential_energy()
    return Atoms(ion.symbols, ion.positions - ion.get_center_of_mass()), energy


def turned(molecule, random):
    """Return the molecule in a random orientation."""
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    return Atoms(molecule.symbols, molecule.positions @ (turn * np.sign(np.linalg.det(turn))))


def lifted(molecule, height):
    """Return the molecule moved along z."""
    return Atoms(molecule.symbols, molecule.positions + [0, 0, height])


def closest(first, second):
    """Return the smallest distance between atoms of two molecules in Å."""
    return np.linalg.norm(first.positions[:, None] - second.positions, axis=-1).min()


def curve(group, pair):
    """Return one pair in one orientation at all distances."""
    random = random_of(group)
    (first, energy_a), (second, energy_b) = (relaxed(*molecule) for molecule in PAIRS[pair])
    first, second = turned(first, random), turned(second, random)
    start = 2.0
    while closest(first, lifted(second, start)) < CONTACT:
        start += 0.01
    info = {"config_type": pair, "group": group, "charge": sum(charge for _, charge in PAIRS[pair]),
            "energyA": round(energy_a, 6), "energyB": round(energy_b, 6)}
    return [label(first + lifted(second, start + apart), LEVEL, PROPERTIES, distance=round(start + apart, 5), **info)
            for apart in APART]


if __name__ == "__main__":
    batches = {f"{pair}-{n}": partial(curve, f"{pair}-{n}", pair) for pair in PAIRS for n in range(1, ORIENTATIONS + 1)}
    fill("dimers_xtb.extxyz", batches)
