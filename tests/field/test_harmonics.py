"""Solid harmonics as polynomials."""

import numpy as np
import reference

from ase_lode.field import harmonics


def test_values_and_gradients():
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    values, gradients = harmonics.evaluate(5, vectors)
    r = np.linalg.norm(vectors, axis=1)[:, None]
    np.testing.assert_allclose(values, r ** reference.degrees(5) * reference.harmonics(5, vectors), atol=1e-11)
    for c, step in enumerate(np.eye(3)):
        numeric = reference.central(lambda h, step=step: harmonics.evaluate(5, vectors + h * step)[0], 1e-3)
        np.testing.assert_allclose(gradients[:, :, c], numeric, atol=1e-7)


def test_gradients_are_lower_harmonics():
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    values, gradients = harmonics.evaluate(5, vectors)
    terms, coefficients = harmonics.derivative_terms(5)
    rebuilt = np.zeros_like(gradients)
    for (row, c, lower), coefficient in zip(terms, coefficients):
        rebuilt[:, row, c] += coefficient * values[:, lower]
    np.testing.assert_allclose(rebuilt, gradients, atol=1e-11)


def test_substitution_of_a_linear_map():
    generator = np.random.default_rng(1)
    matrix, u = generator.normal(size=(3, 3)), generator.normal(size=3)
    powers = harmonics.monomials(4)
    direct = np.prod((matrix @ u) ** powers, axis=1)
    np.testing.assert_allclose(harmonics.substitution(matrix, 4) @ np.prod(u**powers, axis=1), direct, rtol=1e-12)
