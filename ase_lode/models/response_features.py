"""What a response model reads off the environments: contracted channels, their equivariants, and scalars that modulate.

The channels of every centre are few combinations of the expansion coefficients, by centre element and l. A tensor of
order λ is linear in products of an equivariant with one of some scalars: y = Σ_ab W_ab I_a E^λ_b. The scalars are 1 and
principal components of the equivariants of order 0, so the model stays linear in W and turns exactly.
"""

import numpy as np

from ase_lode.features.equivariants import ORDERS, Equivariants


class ResponseFeatures:
    """Features of a structure for every order, and their way back to expansion coefficients.

    Parameters
    ----------
    turn : array, shape (elements, l_max + 1, width, channels)
        Combinations of coefficients that are channels, by centre element and l; a multiple of 8 channels.
    groups : dict of str to array
        Products by order, see `Equivariants`; "0" always.
    mean : array, shape (elements, features of order 0), optional
        Means of the features of order 0.
    scalars : array, shape (elements, features of order 0, scalars), optional
        Combinations of them that modulate.
    """

    def __init__(self, turn, groups, mean=None, scalars=None):
        self.turn, self.mean, self.scalars = turn, mean, scalars
        self.equivariants = {name: Equivariants(ORDERS[name], table) for name, table in groups.items()}

    @property
    def n_gates(self):
        """Number of scalars, the constant included."""
        return 1 + self.scalars.shape[2]

    def channels(self, coefficients, species):
        """Channels, shape (atoms, lm, channels), of coefficients (atoms, lm, width)."""
        out = np.empty((*coefficients.shape[:2], self.turn.shape[3]))
        for s, centres, block, l in self._blocks(coefficients, species):
            out[centres, block] = coefficients[centres, block] @ self.turn[s, l]
        return out

    def pull_back_channels(self, d_channels, species):
        """dE/d(coefficients) given dE/d(channels)."""
        out = np.empty((*d_channels.shape[:2], self.turn.shape[2]))
        for s, centres, block, l in self._blocks(d_channels, species):
            out[centres, block] = d_channels[centres, block] @ self.turn[s, l].T
        return out

    def _blocks(self, array, species):
        for s in np.unique(species):
            centres = np.flatnonzero(species == s)
            for l in range(self.turn.shape[1]):
                if (l + 1) ** 2 <= array.shape[1]:
                    yield s, centres[:, None], np.arange(l * l, (l + 1) ** 2), l

    def gates(self, channels, species, n_threads=1):
        """The constant and the scalars, shape (atoms, 1 + scalars)."""
        invariants = self.equivariants["0"].compute(channels, n_threads)[:, 0] - self.mean[species]
        return np.concatenate([np.ones((len(species), 1)), by_species(invariants, self.scalars, species)], axis=1)

    def pull_back_gates(self, channels, species, d_gates, d_channels, n_threads=1):
        """Add dE/d(channels) to `d_channels`, given dE/d(gates)."""
        d_invariants = by_species(d_gates[:, 1:], self.scalars.transpose(0, 2, 1), species)
        self.equivariants["0"].pull_back(channels, d_invariants[:, None], d_channels, n_threads)


def by_species(rows, matrices, species):
    """Every row times the matrix of its species: (atoms, a) and (elements, a, b) to (atoms, b)."""
    out = np.empty((len(rows), matrices.shape[2]))
    for s in np.unique(species):
        chosen = species == s
        out[chosen] = rows[chosen] @ matrices[s]
    return out
