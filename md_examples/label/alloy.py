"""Cu, Al and their alloys, strained, rattled and vibrating, with the effective medium theory: energies, forces, stress.

Usage (seconds)::

    python alloy.py
"""

from functools import partial

import numpy as np
from ase.build import bulk
from batches import fill, random_of
from labels import label

LEVEL = "EMT"
PROPERTIES = ("energy", "forces", "stress")
#: Cubic lattice constants (Å); an alloy's is interpolated.
LATTICE = {"Cu": 3.6, "Al": 4.0}
#: Elements on the four sites of the cubic cell, by group.
SITES = {
    "Cu": ["Cu", "Cu", "Cu", "Cu"],
    "Cu3Al": ["Al", "Cu", "Cu", "Cu"],
    "CuAl": ["Al", "Al", "Cu", "Cu"],
    "CuAl3": ["Cu", "Al", "Al", "Al"],
    "Al": ["Al", "Al", "Al", "Al"],
}
#: Linear scalings of the perfect crystal, for an equation of state. Close, since aluminium's bulk modulus falls from
#: 42 GPa at 0.988 to nothing at 0.962, where its fourth neighbours enter EMT's cutoff.
SCALINGS = tuple(np.linspace(0.95, 1.05, 11).round(2))
#: Repetitions of the cubic cell, in turn.
REPEATS = [(1, 1, 1), (2, 1, 1), (2, 2, 1), (1, 2, 1)]
#: Linear scalings and displacements (Å, root mean square) of the vibrating crystals, less than at room temperature.
#: They are repeated twice in every direction: smaller cells hold few wave vectors, since images of an atom move alike.
VIBRATING, DISPLACEMENT = (0.98, 1.0, 1.02), 0.1


def perfect(group, scaling):
    """Return the cubic cell of one composition: fcc, L1_2 or L1_0 order."""
    sites = SITES[group]
    atoms = bulk("Cu", "fcc", a=scaling * np.mean([LATTICE[element] for element in sites]), cubic=True)
    atoms.symbols = sites
    return atoms


def disordered(group, random):
    """Return 8 strained and rattled crystals of 4 to 16 atoms, half with elements shuffled."""
    structures = []
    for turn, displacement in enumerate(np.linspace(0.02, 0.25, 8)):
        atoms = perfect(group, random.uniform(0.96, 1.04)) * REPEATS[turn % 4]
        if turn >= 4:
            atoms.symbols = random.permutation(list(atoms.symbols))
        strain = random.normal(scale=0.03, size=(3, 3))
        atoms.set_cell(atoms.cell @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += random.normal(scale=displacement / np.sqrt(3), size=atoms.positions.shape)
        structures.append(atoms)
    return structures


def vibrating(group, random):
    """Return ordered crystals of 32 atoms with thermal displacements."""
    structures = [perfect(group, scaling) * (2, 2, 2) for scaling in VIBRATING]
    for atoms in structures:
        atoms.positions += random.normal(scale=DISPLACEMENT / np.sqrt(3), size=atoms.positions.shape)
    return structures


def composition(group):
    """Return labelled crystals of one composition: perfect, disordered, vibrating."""
    random = random_of(group)
    kinds = {"volumes": [perfect(group, scaling) for scaling in SCALINGS], "disordered": disordered(group, random),
             "vibrating": vibrating(group, random)}
    return [label(atoms, LEVEL, PROPERTIES, config_type=kind, group=group)
            for kind, structures in kinds.items() for atoms in structures]


if __name__ == "__main__":
    fill("cual_emt.extxyz", {group: partial(composition, group) for group in SITES})
