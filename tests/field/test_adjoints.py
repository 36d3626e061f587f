"""Gradients, virials and strengths' gradients of every field against finite differences."""

import itertools

import numpy as np
import pytest
import reference

from ase_lode.field import DirectExterior, DirectIsolated, EwaldSum, FullReciprocal, ParticleMesh

TRICLINIC = np.array([[8.0, 0.0, 0.0], [1.0, 9.0, 0.5], [-2.0, 1.0, 8.5]])
PATTERNS = list(itertools.product((False, True), repeat=3))


def errors(field, pbc, n_features=9):
    generator = np.random.default_rng(4)
    system = reference.structure(generator, 6, TRICLINIC, pbc, extent=0.7)
    strengths, weights = generator.normal(size=(6, 2)), generator.normal(size=(6, 2, n_features))
    return reference.adjoint_errors(field, system, strengths, weights)


@pytest.mark.parametrize("pbc", PATTERNS)
@pytest.mark.parametrize("exponent", [1, 2, 6])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_mesh(tolerance, exponent, pbc):
    gradient, virial, strengths = errors(ParticleMesh(exponent, 2, 1.2, tolerance), pbc)
    assert gradient < 1e-9 and strengths < 1e-11
    assert virial < (1e-7 if sum(pbc) == 2 else 1e-9)


@pytest.mark.parametrize("shape", [(12, 13, 14), (30, 25, 27)])
def test_gradients_are_exact_on_any_mesh(shape):
    assert max(errors(ParticleMesh(1, 2, 1.2, 1e-4, shape=shape), (True,) * 3)) < 1e-9


@pytest.mark.parametrize("field", [DirectIsolated(1, 2, 1.2), DirectIsolated(4, 2, 0.6), DirectExterior(1, 2, 4.0, 1.5),
                                   DirectExterior(6, 2, 4.0, 1.5)])
def test_direct(field):
    assert max(errors(field, (False,) * 3)) < 1e-8


@pytest.mark.parametrize("exponent", range(1, 7))
def test_ewald(exponent):
    assert max(errors(EwaldSum(exponent, 2, 1.2), (True,) * 3)) < 1e-9


@pytest.mark.parametrize("exponent", [0, 1, 3, 6])
def test_full(exponent):
    assert max(errors(Flat(FullReciprocal(exponent, 1.0, 2, 2, radial_integrals, 9.0)), (True,) * 3, 18)) < 1e-8


class Flat:
    """A full expansion with its radial and angular axes joined."""

    def __init__(self, field):
        self.field = field

    def compute(self, system, strengths, n_threads):
        expansion, state = self.field.compute(system, strengths, n_threads)
        return expansion.reshape(*expansion.shape[:2], -1), state

    def pull_back(self, state, weights, n_threads):
        return self.field.pull_back(state, weights.reshape(*weights.shape[:2], 2, 9), n_threads)


def radial_integrals(k):
    """Two made-up radial functions of each l and their derivatives, shape (k, l, n)."""
    k, l, scale = np.asarray(k)[:, None, None], np.arange(3)[:, None], np.array([0.3, 0.5])
    value = k**l * np.exp(-scale * k**2)
    return value, l * k ** np.maximum(l - 1, 0) * np.exp(-scale * k**2) - 2 * scale * k * value


@pytest.mark.parametrize("field, pbc", [(ParticleMesh(1, 1, 1.2), (True,) * 3), (EwaldSum(1, 1, 1.2), (True,) * 3),
                                        (DirectIsolated(1, 1, 1.2), (False,) * 3)])
def test_virial_only_on_request(field, pbc):
    generator = np.random.default_rng(4)
    system = reference.structure(generator, 6, TRICLINIC, pbc)
    weights = generator.normal(size=(6, 1, 4))
    state = field.compute(system, generator.normal(size=(6, 1)), 1)[1]
    full, lean = field.pull_back(state, weights, 1), field.pull_back(state, weights, 1, need_virial=False)
    assert lean[1] is None
    np.testing.assert_array_equal(full[0], lean[0])
    np.testing.assert_array_equal(full[2], lean[2])
