"""What the symmetry of α-quartz forbids in the thermal mean of tensors, from a trajectory of a supercell.

The crystal class is 32: an axis of order three along z and one of order two along x, in a supercell of edges 2a, √3 a
and 2c. Sites are atoms that the crystal's lattice maps onto each other.
"""

import numpy as np

THIRD = np.array([[-0.5, -np.sqrt(0.75), 0.0], [np.sqrt(0.75), -0.5, 0.0], [0.0, 0.0, 1.0]])
HALF = np.diag([1.0, -1.0, -1.0])
#: The six rotations.
ROTATIONS = [np.linalg.matrix_power(THIRD, k) @ turn for turn in (np.eye(3), HALF) for k in range(3)]
#: Closer than this, in Å, mean positions are of one site.
SAME = 0.5


class Quartz:
    """Sites of the mean structure.

    Parameters
    ----------
    images : list of Atoms
        One trajectory; positions may be wrapped.

    Attributes
    ----------
    site : array of int, shape (atoms,)
    positions : array, shape (sites, 3)
        Mean positions, Å.
    """

    def __init__(self, images):
        a, b, c = images[0].cell.lengths()
        self.lattice = np.array([[a / 2, 0.0, 0.0], [-a / 4, b / 2, 0.0], [0.0, 0.0, c / 2]])
        mean, numbers = _mean(images), images[0].numbers
        first = []
        self.site = np.zeros(len(mean), dtype=int)
        for i, position in enumerate(mean):
            near = [k for k, j in enumerate(first)
                    if numbers[i] == numbers[j] and np.linalg.norm(self._least(position - mean[j])) < SAME]
            self.site[i] = near[0] if near else len(first)
            first += [] if near else [i]
        self.numbers = numbers[first]
        self.positions = np.array([mean[j] + self._least(mean[self.site == k] - mean[j]).mean(axis=0)
                                   for k, j in enumerate(first)])

    def _least(self, vectors):
        """Vectors less the nearest vector of the crystal's lattice."""
        parts = vectors @ np.linalg.inv(self.lattice)
        return (parts - np.round(parts)) @ self.lattice

    def image(self, rotation):
        """The site that each site is turned into, and by how much, in Å and root mean square, it misses."""
        turned = self.positions @ rotation.T
        best = None
        for k in np.flatnonzero(self.numbers == self.numbers[0]):
            apart = self._least(self.positions - (turned + self.positions[k] - turned[0])[:, None])
            squares = np.where(np.equal.outer(self.numbers, self.numbers), (apart**2).sum(axis=2), np.inf)
            to = squares.argmin(axis=1)
            missed = apart[np.arange(len(to)), to]
            found = np.sqrt(np.mean(((missed - missed.mean(axis=0)) ** 2).sum(axis=1)))
            if len(set(to)) == len(to) and (best is None or found < best[1]):
                best = to, found
        return best

    def misfit(self):
        """The largest miss of all rotations, in Å."""
        return max(self.image(rotation)[1] for rotation in ROTATIONS)

    def forbidden(self, tensors):
        """Tensors of the sites, (sites, 3, 3), less their mean over the rotations."""
        allowed = np.zeros_like(tensors)
        for rotation in ROTATIONS:
            allowed[self.image(rotation)[0]] += rotation @ tensors @ rotation.T / len(ROTATIONS)
        return tensors - allowed


def _mean(images):
    """Mean positions, free of wrapping and drift, in Å."""
    cell = images[0].cell.lengths()
    positions = np.array([atoms.positions for atoms in images])
    mean = positions[0]
    for _ in range(3):
        apart = positions - mean
        apart -= cell * np.round(apart / cell)
        mean = mean + (apart - apart.mean(axis=1, keepdims=True)).mean(axis=0)
    return mean


def forbidden(tensor):
    """What the symmetry forbids in the mean tensor of the whole crystal."""
    return tensor - sum(rotation @ tensor @ rotation.T for rotation in ROTATIONS) / len(ROTATIONS)
