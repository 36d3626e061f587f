"""The local density of every environment, expanded in radial functions and spherical harmonics."""

import numpy as np

from ase_lode.features.expansion import NeighborExpansion
from ase_lode.radial import (
    RadialTable,
    gaussian_density_integrals,
    make_basis,
    product,
    shifted_cosine,
    shifted_cosine_slope,
    slope,
)

Y00 = 1 / np.sqrt(4 * np.pi)


class DensityExpansion(NeighborExpansion):
    """c_i,anlm of theory: neighbours inside the cutoff, times the cutoff function.

    With `basis: gto` the neighbours are Gaussians and the centre atom counts, as in featomic; with `basis: compact`
    they are points, the radial functions end at the cutoff by themselves and the centre atom is left out.

    Parameters
    ----------
    config : DensityConfig
        With all defaults resolved.

    Attributes
    ----------
    n_radial : int
        Number of radial functions.
    own : array, shape (n_radial,)
        The centre atom's own contribution at l = 0.
    """

    def __init__(self, config):
        self.cutoff = config.cutoff
        self.n_radial = config.max_radial
        self._config = config
        self._basis = make_basis(config.basis, config.cutoff, config.max_radial)
        kinks = [config.cutoff - (config.cutoff_width or 0.0)]
        super().__init__(RadialTable(self._radial, config.cutoff, kinks), config.max_angular)
        self.own = np.zeros(self.n_radial)
        if config.basis == "gto":
            values, _ = gaussian_density_integrals(self._basis, config.smearing, 0, [0.0])
            self.own = values[0, 0] * Y00

    def _radial(self, r):
        config = self._config
        if config.basis == "gto":
            radial = gaussian_density_integrals(self._basis, config.smearing, config.max_angular, r)
        else:
            radial = self._compact(r), slope(self._compact, r)
        if config.cutoff_width is None:
            return radial
        switch = config.cutoff, config.cutoff_width
        return product(*radial, shifted_cosine(r, *switch), shifted_cosine_slope(r, *switch))

    def _compact(self, r):
        return self._basis.functions(r).T[:, None, :]
