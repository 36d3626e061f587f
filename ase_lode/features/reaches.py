"""The cheapest reach of the pairs of an exterior field: a function of cell, extent and number of atoms alone.

Pairs grow with the cube of the reach, points of the mesh fall with it. Where atoms are sparse, or the box of the mesh
is mostly empty, a long reach over few pairs saves most of a large mesh.
"""

from math import pi

import numpy as np

from ase_lode.field import box_lengths

#: Nanoseconds per pair of the remainder and per pair of a direct sum, there and back.
PAIR, DIRECT = 90.0, 35.0
#: The same per point of the mesh, by the number of free directions, along which most of the box is empty.
POINT = 20.0, 14.0, 11.0, 9.5
#: What the mesh of an isolated system takes at least.
MESH = 5e6
#: Reaches in units of the shortest, in coarse steps: each has tables and a mesh of its own.
STEPS = 2.0 ** (np.arange(8) / 3)


def cheapest(system, reach, width, spacing):
    """The step that takes the least time, or None where that is the direct sum over all pairs.

    Times are those of pairs and points of a mesh whose width and spacing grow with the reach, for atoms spread evenly
    over the cell and their extent along its free directions; those of an isolated system over an ellipsoid.

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
    n, isolated = len(system), not system.pbc.any()
    direct = DIRECT * n * n
    if isolated and direct < MESH:
        return None
    volume, box = system.measure * (pi / 6 if isolated else 1.0), system.measure
    for extent in system.extents:
        volume = volume * (extent + STEPS * reach / 2)  # where all neighbours are, to first order in reach over extent
        box = box * box_lengths(extent, STEPS * width)
    pairs = n * n * 4 / 3 * pi * (STEPS * reach) ** 3 / volume
    times = PAIR * pairs + POINT[3 - system.pbc.sum()] * box / (STEPS * spacing) ** 3
    best = int(np.argmin(times))
    return None if isolated and direct < times[best] else float(STEPS[best])
