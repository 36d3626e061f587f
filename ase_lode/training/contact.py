"""How close atoms come in the data, and from there the distances at which repulsion sets in."""

import numpy as np

from ase_lode.neighbors import NeighborList
from ase_lode.system import CHEMICAL_SYMBOLS
from ase_lode.training.dataset import COVALENT_RADII, VDW_RADII

#: Repulsion sets in a little below the closest distance in the data, so that it changes nothing there, and below the
#: shortest bonds of two elements: triple bonds in motion reach 0.72 of the sum of covalent radii.
BELOW_CLOSEST, BELOW_BONDS = 0.95, 0.7
#: Atoms that do not bond repel up to this share of the sum of van der Waals radii where the data come no closer: a fit
#: knows nothing there, and a hole between 0.7 and 1.5 Å of two hydrogens swallows a trajectory.
OVERLAP = 0.6


def closest_distances(systems, elements, cutoff):
    """Shortest distance between atoms of each two elements, shape (elements, elements), in Å; inf beyond `cutoff`."""
    numbers = np.array([CHEMICAL_SYMBOLS.index(e) for e in elements])
    closest = np.full((len(elements), len(elements)), np.inf)
    for system in systems:
        pairs = NeighborList(cutoff).pairs(system, cutoff)
        kind = np.argmax(system.numbers[:, None] == numbers, axis=1)
        np.minimum.at(closest, (kind[pairs.i], kind[pairs.j]), pairs.distances)
    return np.minimum(closest, closest.T)  # the two directions of a pair may differ in the last bit


def contact_distances(closest, elements, cutoff):
    """Where the repulsion of each two elements ends, shape (elements, elements), in Å.

    Parameters
    ----------
    closest : array, shape (elements, elements)
        From `closest_distances`.
    elements : sequence of str
        Chemical symbols.
    cutoff : float
        No contact is longer, because pairs are known up to here only.
    """
    numbers = [CHEMICAL_SYMBOLS.index(e) for e in elements]
    bonds = COVALENT_RADII[numbers][:, None] + COVALENT_RADII[numbers]
    overlap = OVERLAP * (VDW_RADII[numbers][:, None] + VDW_RADII[numbers])
    known = np.minimum(BELOW_CLOSEST * closest, np.fmax(bonds, overlap))
    return np.minimum(np.where(np.isfinite(closest), known, BELOW_BONDS * bonds), cutoff)
