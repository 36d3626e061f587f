"""Clebsch-Gordan products: coefficients against integrals of harmonics, loops against a slow twin, exact rotation."""

import numpy as np
import pytest
from reference import harmonics
from scipy.spatial.transform import Rotation
from synthetic import CHARGES, ELEMENTS, molecule

from ase_lode.features.equivariants import (
    ORDERS,
    Equivariants,
    cartesian_tensor,
    cartesian_vector,
    clebsch_gordan,
    spherical_tensor,
    spherical_vector,
)
from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig
from ase_lode.system import System

L_MAX, WIDTH = 3, 16


def groups_of(order):
    """Every pair of orders that couples, with a few channels on the left and both groups on the right."""
    return [(a, p, b, q) for a in range(L_MAX + 1) for b in range(a, L_MAX + 1) if order.couples(a, b)
            for p in (0, 5) for q in (0, 8)]


def slow(order, groups, channels):
    parts = [np.einsum("abm,ia,ibn->imn", clebsch_gordan(a, b, order.degree), channels[:, a * a : (a + 1) ** 2, p],
                       channels[:, b * b : (b + 1) ** 2, q : q + 8]) for a, p, b, q in groups]
    return np.concatenate(parts, axis=2)


@pytest.mark.parametrize("a, b, c", [(0, 1, 1), (1, 1, 0), (1, 1, 2), (2, 1, 1), (2, 2, 2), (3, 2, 1), (4, 4, 2)])
def test_even_coefficients_are_integrals_of_three_harmonics(a, b, c):
    """∫ Y_am Y_bm' Y_cm'' over the sphere, by Gauss-Legendre in z and equidistant angles, up to one factor."""
    z, weights = np.polynomial.legendre.leggauss(16)
    angle = 2 * np.pi * np.arange(32) / 32
    rim = np.sqrt(1 - z**2)[:, None]
    points = np.stack(np.broadcast_arrays(rim * np.cos(angle), rim * np.sin(angle), z[:, None]), axis=-1)
    y = harmonics(max(a, b, c), points)
    y = [y[..., l * l : (l + 1) ** 2] for l in (a, b, c)]
    integral = np.einsum("z,zam,zan,zak->mnk", weights, *y) * 2 * np.pi / 32
    found = clebsch_gordan(a, b, c)
    factor = np.vdot(integral, found) / np.vdot(integral, integral)
    assert factor != 0 and np.abs(found - factor * integral).max() < 1e-12
    assert np.einsum("abm,abn->mn", found, found) == pytest.approx(np.eye(2 * c + 1), abs=1e-12)


def test_the_axial_product_of_vectors_is_their_cross_product():
    a, b = np.random.default_rng(0).normal(size=(2, 3))
    product = np.einsum("abm,a,b->m", clebsch_gordan(1, 1, 1), spherical_vector(a), spherical_vector(b))
    cross = np.cross(a, b) / np.sqrt(2)
    assert abs(cartesian_vector(product)) == pytest.approx(abs(cross), abs=1e-14)
    assert abs(cartesian_vector(product) @ cross) == pytest.approx(cross @ cross, abs=1e-14)


def test_tensors_to_components_and_back():
    tensors = np.random.default_rng(1).normal(size=(4, 3, 3))
    parts = spherical_tensor(tensors)
    assert cartesian_tensor(parts) == pytest.approx(tensors, abs=1e-14)
    assert sum((part**2).sum() for part in parts.values()) == pytest.approx((tensors**2).sum())
    assert abs(parts["0"][:, 0]) == pytest.approx(abs(np.einsum("tii->t", tensors)) / np.sqrt(3))
    symmetric = cartesian_tensor({name: parts[name] for name in ("0", "2")})
    assert symmetric == pytest.approx((tensors + tensors.transpose(0, 2, 1)) / 2, abs=1e-14)


@pytest.mark.parametrize("name", ORDERS)
def test_loops_against_the_slow_twin_and_their_adjoint(name):
    order, rng = ORDERS[name], np.random.default_rng(2)
    groups = groups_of(order)
    features = Equivariants(order, groups)
    channels = rng.normal(size=(5, (L_MAX + 1) ** 2, WIDTH))
    values = features.compute(channels)
    assert values.shape == (5, order.size, 8 * len(groups))
    assert np.abs(values - slow(order, groups, channels)).max() < 1e-13
    d_values, direction = rng.normal(size=values.shape), rng.normal(size=channels.shape)
    d_channels = np.zeros_like(channels)
    features.pull_back(channels, d_values, d_channels)
    ends = [np.vdot(slow(order, groups, channels + sign * 1e-4 * direction), d_values) for sign in (1, -1)]
    expected = (ends[0] - ends[1]) / 2e-4  # exact for products, up to rounding
    assert np.abs(d_channels).max() > 0.1 and np.vdot(d_channels, direction) == pytest.approx(expected, rel=1e-8)


def test_threads_give_the_same_bits():
    order = ORDERS["2"]
    features, channels = Equivariants(order, groups_of(order)), np.random.default_rng(3).normal(size=(200, 16, WIDTH))
    one, two = features.compute(channels, 1), features.compute(channels, 2)
    changes = [np.zeros_like(channels) for _ in range(2)]
    for n_threads, change in zip((1, 2), changes):
        features.pull_back(channels, one, change, n_threads)
    assert (one == two).all() and (changes[0] == changes[1]).all()


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("improper", [False, True])
def test_rotation_of_a_molecule_turns_the_features(name, improper):
    model = ModelConfig.model_validate({
        "elements": ELEMENTS, "density": {"cutoff": 3.5, "max_radial": 3, "max_angular": L_MAX}, "charges": CHARGES,
        "fields": [{"exponent": 1, "max_angular": 2}]}).resolved()
    representation, order = Representation(model), ORDERS[name]
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix() * (-1 if improper else 1)
    atoms = molecule()
    moved = atoms.copy()
    moved.positions = atoms.positions @ turn.T
    channels = [np.ascontiguousarray(representation.compute(System.from_atoms(a)).coefficients) for a in (atoms, moved)]
    groups = [(a, p, b, q) for a, p, b, q in groups_of(order) if q + 8 <= channels[0].shape[2]]
    groups += [(a, p, b, 24) for a in range(2) for b in range(a, 3) if order.couples(a, b) for p in (0, 24)]
    features = Equivariants(order, groups)
    one, two = (features.compute(c).transpose(0, 2, 1) for c in channels)
    if order.degree == 1:
        proper = turn * (np.linalg.det(turn) if order.axial else 1)
        expected, found = cartesian_vector(one) @ proper.T, cartesian_vector(two)
    else:
        found, expected = (cartesian_tensor({name: part}) for part in (two, one))
        expected = turn @ expected @ turn.T
    assert np.abs(one).max() > 0.01 and np.abs(found - expected).max() < 1e-10
