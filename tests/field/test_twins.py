"""The compiled fields against the plain sums of reference.py."""

import itertools

import numpy as np
import pytest
import reference

from ase_lode.errors import ConfigError, StructureError
from ase_lode.field import DirectExterior, DirectIsolated, EwaldSum, FullReciprocal, ParticleMesh

TRICLINIC = np.array([[7.0, 0.0, 0.0], [1.0, 8.0, 0.5], [-2.0, 1.0, 7.5]])
PATTERNS = list(itertools.product((False, True), repeat=3))


def neutral(generator, n_atoms, n_channels=2):
    strengths = generator.normal(size=(n_atoms, n_channels))
    return strengths - strengths.mean(axis=0)


def relative(result, expected):
    """Relative RMS error of every l, the largest of them."""
    ls = reference.degrees(int(np.sqrt(expected.shape[-1])) - 1)
    return max(np.sqrt(np.sum((result - expected)[..., ls == l] ** 2) / np.sum(expected[..., ls == l] ** 2))
               for l in range(ls[-1] + 1))


@pytest.mark.parametrize("exponent", range(1, 7))
@pytest.mark.parametrize("width", [0.4, 3.0])
def test_direct_isolated(exponent, width):
    generator = np.random.default_rng(exponent)
    system = reference.structure(generator, 12, np.eye(3) * 9, (False,) * 3)
    strengths = generator.normal(size=(12, 2))
    phi, _ = DirectIsolated(exponent, 4, width).compute(system, strengths, 1)
    expected = reference.sum_images(lambda r: reference.smooth_kernel(exponent, 4, width, r), system.positions,
                                    strengths, np.zeros((1, 3)))
    assert relative(phi, expected) < 1e-12


@pytest.mark.parametrize("exponent", range(1, 7))
@pytest.mark.parametrize("cutoff_width", [0.0, 1.5])
def test_direct_exterior(exponent, cutoff_width):
    generator = np.random.default_rng(exponent)
    system = reference.structure(generator, 12, np.eye(3) * 9, (False,) * 3)
    strengths = generator.normal(size=(12, 2))
    phi, _ = DirectExterior(exponent, 3, 4.0, cutoff_width).compute(system, strengths, 1)
    expected = reference.sum_images(lambda r: reference.exterior_kernel(exponent, 3, 4.0, cutoff_width, r),
                                    system.positions, strengths, np.zeros((1, 3)))
    assert relative(phi, expected) < 1e-12


@pytest.mark.parametrize("exponent", range(1, 7))
def test_ewald_and_mesh_of_a_crystal(exponent):
    generator = np.random.default_rng(exponent)
    system = reference.structure(generator, 10, TRICLINIC, (True,) * 3)
    strengths = generator.normal(size=(10, 2))
    expected = reference.bulk_field(exponent, 3, 1.0, system.positions, system.cell, strengths)
    assert relative(EwaldSum(exponent, 3, 1.0).compute(system, strengths, 1)[0], expected) < 1e-11
    assert relative(ParticleMesh(exponent, 3, 1.0, 1e-7).compute(system, strengths, 1)[0], expected) < 1e-7


@pytest.mark.parametrize("exponent", range(1, 7))
def test_mesh_of_an_isolated_system(exponent):
    generator = np.random.default_rng(exponent)
    system = reference.structure(generator, 10, np.eye(3) * 8, (False,) * 3)
    strengths = generator.normal(size=(10, 2))
    expected, _ = DirectIsolated(exponent, 2, 1.0).compute(system, strengths, 1)
    assert relative(ParticleMesh(exponent, 2, 1.0, 1e-7).compute(system, strengths, 1)[0], expected) < 1e-7


@pytest.mark.parametrize("pbc", [p for p in PATTERNS if sum(p) == 1])
@pytest.mark.parametrize("exponent", [1, 2, 6])
def test_mesh_of_a_wire(exponent, pbc):
    generator = np.random.default_rng(exponent)
    system = reference.structure(generator, 6, TRICLINIC, pbc, extent=0.6)
    strengths = neutral(generator, 6)
    expected = reference.image_field(exponent, 2, 1.0, system.positions, system.cell, pbc, strengths, 60)
    phi, _ = ParticleMesh(exponent, 2, 1.0, 1e-7).compute(system, strengths, 1)
    assert relative(phi, expected) < 1e-6


@pytest.mark.parametrize("pbc", [p for p in PATTERNS if sum(p) == 2])
@pytest.mark.parametrize("exponent", [3, 6])
def test_mesh_of_a_slab(exponent, pbc):
    generator = np.random.default_rng(exponent)
    system = reference.structure(generator, 5, TRICLINIC, pbc, extent=0.6)
    strengths = neutral(generator, 5, 1)
    expected = reference.image_field(exponent, 2, 1.0, system.positions, system.cell, pbc, strengths, 8)
    phi, _ = ParticleMesh(exponent, 2, 1.0, 1e-7).compute(system, strengths, 1)
    assert relative(phi, expected) < (1e-4 if exponent == 3 else 1e-6)


def test_mesh_of_a_charged_slab_is_parrys_sum():
    generator = np.random.default_rng(3)
    system = reference.structure(generator, 6, TRICLINIC, (True, True, False), extent=0.6)
    strengths = generator.normal(size=(6, 1))
    phi, _ = ParticleMesh(1, 1, 1.0, 1e-8).compute(system, strengths, 1)

    def potential(shift):
        return reference.slab_potential(1.0, system.positions + shift, system.positions, system.cell, strengths)

    np.testing.assert_allclose(phi[:, :, 0], potential(0.0) / np.sqrt(4 * np.pi), atol=1e-8)
    for row, c in ((1, 1), (2, 2), (3, 0)):
        slope = reference.central(lambda h, c=c: potential(h * np.eye(3)[c]), 1e-3)
        np.testing.assert_allclose(phi[:, :, row], np.sqrt(3 / (4 * np.pi)) * slope, atol=1e-8)


@pytest.mark.parametrize("exponent", [0, 1, 3, 4])
def test_full_expansion_is_its_definition(exponent):
    generator = np.random.default_rng(5)
    system = reference.structure(generator, 5, TRICLINIC, (True,) * 3)
    strengths = generator.normal(size=(5, 2))
    result, _ = FullReciprocal(exponent, 1.0, 2, 2, radial_integrals).compute(system, strengths, 1)
    k = reference.wave_vectors(system.cell, 6.0)
    norms = np.linalg.norm(k, axis=1)
    ls = reference.degrees(2)
    phases = np.exp(1j * system.positions @ k.T)
    terms = (4 * np.pi / system.measure * reference.transform(exponent, 1.0, norms)[:, None, None] * 1j**ls
             * np.moveaxis(radial_integrals(norms)[0], 1, 2)[:, :, ls] * reference.harmonics(2, k)[:, None])
    expected = np.einsum("ik,ka,knf->ianf", phases, phases.conj().T @ strengths, terms, optimize=True).real
    if exponent in (0, 4):
        limit = (4 * np.pi) ** 0.75 if exponent == 0 else 2 * np.pi**1.5 * 2**-0.5
        mean = 4 * np.pi / system.measure * limit * radial_integrals(np.zeros(1))[0][0, 0] / np.sqrt(4 * np.pi)
        expected[..., 0] += strengths.sum(axis=0)[:, None] * mean
    np.testing.assert_allclose(result, expected, atol=1e-8 * abs(expected).max())


def radial_integrals(k):
    """Two made-up radial functions of each l and their derivatives, shape (k, l, n)."""
    k, l, scale = np.asarray(k)[:, None, None], np.arange(3)[:, None], np.array([0.3, 0.5])
    value = k**l * np.exp(-scale * k**2)
    return value, l * k ** np.maximum(l - 1, 0) * np.exp(-scale * k**2) - 2 * scale * k * value


def test_refusals_name_the_fix():
    generator = np.random.default_rng(0)
    crystal = reference.structure(generator, 3, TRICLINIC, (True,) * 3)
    molecule = reference.structure(generator, 3, TRICLINIC, (False,) * 3)
    with pytest.raises(StructureError, match="particle mesh"):
        DirectIsolated(1, 1, 1.0).compute(crystal, np.ones((3, 1)), 1)
    with pytest.raises(StructureError, match="direct sum"):
        EwaldSum(1, 1, 1.0).compute(molecule, np.ones((3, 1)), 1)
    with pytest.raises(StructureError, match="mesh shape"):
        ParticleMesh(1, 1, 1.0, shape=(16, 16, 16)).compute(molecule, np.ones((3, 1)), 1)
    with pytest.raises(ConfigError, match="1 to 6"):
        ParticleMesh(0, 1, 1.0)
    with pytest.raises(ConfigError, match="tolerance"):
        ParticleMesh(1, 1, 1.0, tolerance=0.5)
