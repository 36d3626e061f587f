"""Pairs of atoms inside a cutoff, sorted by centre, from a list with a skin that survives small moves."""

from dataclasses import dataclass

import numpy as np

from ase_lode._loops.pairs import add_pair_gradient, count_pairs, fill_pairs, sum_neighbors
from ase_lode.memory import empty
from ase_lode.parallel import run

#: Longer cutoffs than a list's own whose lists are kept.
LONGER = 4
#: What a search reaches further in Å, so that rounding there cannot cost a pair.
ROUNDING = 1e-6
#: Vesin divides a periodic box into about this many bins at most, all directions in the same proportion.
BINS = 5e4
#: Reaches after which the free directions of a slab or wire are folded.
FOLD = 50


@dataclass(frozen=True)
class PairList:
    """Every pair inside a cutoff, in both directions, ordered by centre, neighbour's element, neighbour and image.

    The order and every number in it are functions of the structure alone, whatever list it was compacted from.

    Attributes
    ----------
    first : array of int, shape (atoms + 1,)
        The pairs of centre i are ``first[i]:first[i + 1]``.
    i, j : arrays of int, shape (pairs,)
        Centre and neighbour.
    vectors : array, shape (pairs, 3)
        r_j - r_i of the nearest or further image in Å.
    distances : array, shape (pairs,)
        Their lengths in Å.
    """

    first: np.ndarray
    i: np.ndarray
    j: np.ndarray
    vectors: np.ndarray
    distances: np.ndarray

    def add_gradient(self, pair_gradient, gradient, virial):
        """Add dE/d(r_j - r_i) of every pair, shape (pairs, 3), to the atoms' `gradient` and to the `virial`."""
        add_pair_gradient(0, len(self.j), self.i, self.j, self.vectors, pair_gradient, gradient, virial)

    def sum_neighbors(self, values, n_atoms):
        """Values of the pairs, shape (pairs, s), summed over the pairs of each neighbour j, shape (atoms, s)."""
        result = np.zeros((n_atoms, values.shape[1]))
        sum_neighbors(0, len(self.j), self.j, values, result)
        return result


class NeighborList:
    """Candidate pairs inside cutoff + skin, searched again only when an atom or the cell has moved too far.

    Parameters
    ----------
    cutoff : float
        Largest cutoff of the pairs that share one search, in Å; longer ones get lists of their own.
    skin : float
        Extra distance in Å within which atoms may move before the search is repeated.
    """

    def __init__(self, cutoff, skin=0.0):
        self.cutoff = cutoff
        self.skin = skin
        self._reference = None
        self._compacted = {}
        self._longer = {}

    def pairs(self, system, cutoff, n_threads=1):
        """Pairs of a structure inside `cutoff`; kept for the same `system`."""
        if cutoff > self.cutoff:
            return self._list(cutoff).pairs(system, cutoff, n_threads)
        if self._compacted.get("system") is not system:
            if not self._covers(system):
                self._search(system, n_threads)
            self._compacted = {"system": system}
        if cutoff not in self._compacted:
            self._compacted[cutoff] = self._compact(system, cutoff, n_threads)
        return self._compacted[cutoff]

    def _list(self, cutoff):
        """The list of a longer cutoff; those of the latest few are kept."""
        if cutoff not in self._longer:
            while len(self._longer) >= LONGER:
                del self._longer[next(iter(self._longer))]
            self._longer[cutoff] = NeighborList(cutoff, self.skin)
        return self._longer[cutoff]

    def _compact(self, system, cutoff, n_threads):
        n = len(system)
        geometry = (self._first, self._j, self._shifts, system.positions, system.cell, cutoff)
        counts = np.empty(n, dtype=np.int64)
        run(count_pairs, n, n_threads, *geometry, counts)
        first = np.concatenate(([0], np.cumsum(counts)))
        total = int(first[-1])
        out = PairList(first, empty((total,), np.int64), empty((total,), np.int64), empty((total, 3)), empty((total,)))
        run(fill_pairs, n, n_threads, *geometry, first, out.i, out.j, out.vectors, out.distances)
        return out

    def _covers(self, system):
        """Whether every pair now inside the cutoff is a candidate.

        With F the strain and u the displacements beyond it, a pair vector d had the length |F^-1 (d - u_j + u_i)|.
        """
        old = self._reference
        if old is None or len(old) != len(system) or (old.pbc != system.pbc).any():
            return False
        if (old.numbers != system.numbers).any():  # the order of the pairs would be another
            return False
        strain = np.linalg.solve(old.cell, system.cell)
        moved = np.sqrt(((system.positions - old.positions @ strain) ** 2).sum(axis=1).max())
        stretch = np.linalg.norm(np.linalg.inv(strain), 2)
        return stretch * (self.cutoff + 2 * moved) <= self.cutoff + self.skin

    def _search(self, system, n_threads):
        from vesin import NeighborList as Search

        reach, box = searched(system, self.cutoff + self.skin + ROUNDING)
        search = Search(cutoff=reach, full_list=True, n_threads=n_threads)
        found = search.compute(points=system.positions, box=box, periodic=system.pbc.any() | system.pbc,
                               quantities="ijS")
        i, j, shifts = (part[(found[2][:, ~system.pbc] == 0).all(axis=1)] for part in found)
        order = np.lexsort((shifts[:, 2], shifts[:, 1], shifts[:, 0], j, system.numbers[j], i))
        self._first = np.searchsorted(i[order], np.arange(len(system) + 1))
        self._j = j[order].astype(np.int64)
        self._shifts = shifts[order].astype(np.int64)
        self._reference = system


def searched(system, reach):
    """Reach and box that leave vesin a whole bin along every direction: without one it stops the process.

    Slabs and wires are searched as periodic along free directions too, in lengths that keep images out of reach.
    """
    box = system.cell.copy()
    box[~system.pbc] *= np.minimum(system.extents + 2 * reach, FOLD * reach)[:, None]
    heights = 1 / np.linalg.norm(np.linalg.inv(box), axis=0)
    while True:
        bins = np.maximum(heights // reach, 1.0)
        if not system.pbc.any() or bins.min() ** 3 * BINS >= bins.prod():
            return reach, box
        reach *= 1.1
