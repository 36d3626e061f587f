"""Where every scale's channels stand in the array of coefficients, and which products of them are features."""

from dataclasses import dataclass

import numpy as np

from ase_lode.errors import ConfigError
from ase_lode.radial import LANES


@dataclass(frozen=True)
class Scale:
    """One expansion: the density, or a field.

    Attributes
    ----------
    start : int
        First channel.
    channels : array of int
        Its channels, source species first, radial function second.
    min_angular, max_angular : int
        Smallest and largest l that features have.
    """

    start: int
    channels: np.ndarray
    min_angular: int
    max_angular: int

    @property
    def degrees(self):
        """Every l that features have."""
        return range(self.min_angular, self.max_angular + 1)


class Layout:
    """Channels of ``coefficients[i, lm, q]`` and the features made of them.

    The channels are the density's (padded to whole lanes by species), the fields', and one constant, 1 at l = 0: the
    centre atom itself, whose products with the others are features linear in the density or in a field.
    A feature is (2l+1)^(-1/2) Σ_m x_qlm x_rlm with q ≤ r, times √2 for q < r so that weights in the same norm stay
    in the same norm in another basis.

    Parameters
    ----------
    n_species, n_radial, lanes : int
        Species, radial functions and padded radial functions of the density.
    max_angular : int
        Largest l of the density.
    fields : list of (int, int, int)
        Channels, smallest and largest l of each field.
    invariants : list of (int, int) or None
        Pairs of scales whose products are features, 0 the density; all when None.
    """

    def __init__(self, n_species, n_radial, lanes, max_angular, fields, invariants):
        density = (np.arange(n_species)[:, None] * lanes + np.arange(n_radial)).ravel()
        self.scales = [Scale(0, density, 0, max_angular)]
        start = n_species * lanes
        for channels, *degrees in fields:
            self.scales.append(Scale(start, start + np.arange(channels), *degrees))
            start += channels
        self.constant = start
        self.width = -(-(start + 1) // LANES) * LANES
        self.max_angular = max(scale.max_angular for scale in self.scales)
        self._features(invariants)

    def _features(self, invariants):
        scale_of = np.full(self.width, -1)
        for number, scale in enumerate(self.scales):
            scale_of[scale.channels] = number
        scale_of[self.constant] = 0
        allowed = None if invariants is None else {tuple(sorted(pair)) for pair in invariants}
        groups = [(a, b) for a in range(len(self.scales)) for b in range(a, len(self.scales))
                  if allowed is None or (a, b) in allowed]
        l_of, q_of, r_of, group_of = [], [], [], []
        for l in range(self.max_angular + 1):
            here = np.sort(np.concatenate([np.zeros(0, int), *(s.channels for s in self.scales if l in s.degrees)]
                                          + [[self.constant]] * (l == 0)))
            q, r = (here[index] for index in np.triu_indices(len(here)))
            keep = ~((q == self.constant) & (r == self.constant))
            for a, b in zip(q[keep], r[keep]):
                group = tuple(sorted((scale_of[a], scale_of[b])))
                if group in groups:
                    l_of.append(l)
                    q_of.append(a)
                    r_of.append(b)
                    group_of.append(groups.index(group))
        if not l_of:
            raise ConfigError("No features are left: the scales that invariants multiply share no l; lower min_angular "
                              "or raise max_angular.")
        self.l, self.q, self.r = np.array(l_of), np.array(q_of), np.array(r_of)
        self.groups = np.array(group_of)
        names = ["density"] + [f"field {k}" for k in range(1, len(self.scales))]
        self.group_names = [f"{names[a]} x {names[b]}" for a, b in groups]
        self.factor = np.where(self.q < self.r, np.sqrt(2.0), 1.0) / np.sqrt(2 * self.l + 1)
        self.index = np.full((self.max_angular + 1, self.width, self.width), -1)
        self.index[self.l, self.q, self.r] = self.index[self.l, self.r, self.q] = np.arange(len(self.l))

    def quadratic(self, weights):
        """Symmetric matrices W^l_qr, shape (species, l, q, r), of feature weights (species, features)."""
        forms = np.zeros((len(weights), self.max_angular + 1, self.width, self.width))
        scaled = weights * self.factor * np.where(self.q < self.r, 0.5, 1.0)
        forms[:, self.l, self.q, self.r] = scaled
        forms[:, self.l, self.r, self.q] = scaled
        return forms
