"""With p = 0 the field is the Gaussian density: LODE becomes the density expansion."""

from types import SimpleNamespace

import numpy as np
import pytest

from ase_lode.features.density import DensityExpansion
from ase_lode.features.full import Projection
from ase_lode.field import FullReciprocal
from ase_lode.hypers import DensityConfig
from ase_lode.neighbors import NeighborList
from ase_lode.system import System

CUTOFF, SMEARING, N, L_MAX = 2.5, 0.7, 3, 3


def molecule(cell):
    positions = np.random.default_rng(5).normal(scale=0.7, size=(4, 3))
    return System(np.array([1, 1, 8, 8]), positions, cell, np.ones(3, bool))


def density(system, species):
    """c_i,anlm with a step at the cutoff, the atom itself included, shape (atoms, species, n, lm)."""
    config = DensityConfig(cutoff=CUTOFF, max_radial=N, max_angular=L_MAX, basis="gto", smearing=SMEARING,
                           cutoff_width=0.0)
    expansion = DensityExpansion(config)
    out = np.zeros((len(system), (L_MAX + 1) ** 2, 2 * expansion.lanes))
    expansion.add(NeighborList(CUTOFF).pairs(system, CUTOFF), species, out, 1)
    out = out.reshape(*out.shape[:2], 2, expansion.lanes)[..., :N]
    out[np.arange(len(system)), 0, species] += expansion.own
    return out.transpose(0, 2, 3, 1)


def field(system, species):
    """V_i,anlm for p = 0 over all wave vectors, the same shape."""
    config = SimpleNamespace(basis="gto", cutoff=CUTOFF, max_radial=N, max_angular=L_MAX, exponent=0, smearing=SMEARING)
    lode = FullReciprocal(0, SMEARING, L_MAX, N, Projection(config).waves)
    return lode.compute(system, np.eye(2)[species], 1)[0]


@pytest.mark.parametrize("skew", [0.0, 1.5])
def test_field_of_exponent_zero_is_the_density_expansion(skew):
    """Every atom closer than the cutoff, images far away, one width and one basis."""
    system = molecule(14.0 * np.eye(3) + skew * np.eye(3, k=-1))
    species = np.array([0, 0, 1, 1])
    distances = np.linalg.norm(system.positions[:, None] - system.positions, axis=-1)
    assert distances.max() < CUTOFF
    expected = density(system, species)
    assert np.abs(field(system, species) - expected).max() < 1e-6 * np.abs(expected).max()
