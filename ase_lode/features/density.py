"""The local density of every environment, expanded in radial functions and spherical harmonics."""

from functools import lru_cache, partial

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
        table, own = _tabulated(config)
        super().__init__(table, config.max_angular)
        self.own = own * Y00


@lru_cache(maxsize=8)
def _tabulated(config):
    """The radial functions as a table and at the origin for l = 0: they take a second, and potentials share them."""
    basis = make_basis(config.basis, config.cutoff, config.max_radial)
    kinks = [config.cutoff - (config.cutoff_width or 0.0)]
    table = RadialTable(partial(_radial, config, basis), config.cutoff, kinks)
    if config.basis == "gto":
        return table, gaussian_density_integrals(basis, config.smearing, 0, [0.0])[0][0, 0]
    return table, np.zeros(config.max_radial)


def _radial(config, basis, r):
    def compact(r):
        return basis.functions(r).T[:, None, :]

    if config.basis == "gto":
        radial = gaussian_density_integrals(basis, config.smearing, config.max_angular, r)
    else:
        radial = compact(r), slope(compact, r)
    if config.cutoff_width is None:
        return radial
    switch = config.cutoff, config.cutoff_width
    return product(*radial, shifted_cosine(r, *switch), shifted_cosine_slope(r, *switch))
