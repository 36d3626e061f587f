"""The cheapest reach of the pairs of an exterior field: a function of cell, extent and number of atoms alone.

Pairs grow with the cube of the reach, points of the mesh fall with it. Where atoms are sparse, or the box of the mesh
is mostly empty, a long reach over few pairs saves most of a large mesh.
"""

from math import pi

import numpy as np

from ase_lode.field import box_lengths, free_extents

#: Nanoseconds per pair of the remainder, per point of the mesh and per pair of a direct sum, there and back.
PAIR, POINT, DIRECT = 90.0, 20.0, 35.0
#: Reaches in units of the shortest, in coarse steps: each has tables and a mesh of its own.
STEPS = tuple(2.0 ** (k / 3) for k in range(8))


def cheapest(system, reach, width, spacing):
    """The step that takes the least time, or None where that is the direct sum over all pairs.

    Times are those of pairs and points of a mesh whose width and spacing grow with the reach, for atoms spread evenly
    over the cell and their extent along its free directions.

    Parameters
    ----------
    system : System
    reach, width, spacing : float
        Shortest reach of the pairs, and width of the split and spacing of the mesh that go with it, in Å.

    Returns
    -------
    float or None
        One of `STEPS`.
    """
    n, extents, times = len(system), free_extents(system), {}
    for step in STEPS:
        volume = system.measure * np.prod(extents + step * reach)
        pairs = n * n * 4 / 3 * pi * (step * reach) ** 3 / volume
        points = system.measure * np.prod(box_lengths(extents, step * width)) / (step * spacing) ** 3
        times[step] = PAIR * (pairs if system.pbc.any() else min(pairs, n * n)) + POINT * points
    best = min(times, key=times.get)
    return best if system.pbc.any() or times[best] < DIRECT * n * n else None
