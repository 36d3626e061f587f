"""Structures that several tests and benchmarks share."""

import numpy as np
from ase import Atoms
from ase.build import molecule


def water_box(molecules, seed=0):
    """Water at 1 g/cm³: randomly turned molecules on a rattled cubic grid, in a cubic cell."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(molecules ** (1 / 3)))
    length = (molecules * 29.9) ** (1 / 3)
    points = np.array(list(np.ndindex(side, side, side)))[rng.permutation(side**3)[:molecules]]
    atoms = Atoms(cell=[length] * 3, pbc=True)
    for point in points:
        water = molecule("H2O")
        water.rotate(360 * rng.random(), rng.normal(size=3))
        water.translate((point + 0.5) * length / side - water.get_center_of_mass() + 0.1 * rng.normal(size=3))
        atoms += water
    return atoms
