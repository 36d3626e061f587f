"""Orthogonalised momenta: the directions of the singular vectors, all of about the same length."""

import numpy as np
import pytest

from ase_lode.training.muon import orthogonalised


@pytest.mark.parametrize("shape", [(3, 40, 16), (2, 8, 48), (1, 8, 8)])
def test_singular_vectors_stay_and_their_values_become_alike(shape):
    matrices = np.random.default_rng(0).normal(size=shape)
    matrices[0, :, 0] *= 5  # one direction larger than the others
    left, _, right = np.linalg.svd(matrices, full_matrices=False)
    inner = np.einsum("sij,sik,slk->sjl", left, orthogonalised(matrices), right) / np.sqrt(max(shape[1:]))
    values = np.einsum("sjj->sj", inner)
    assert 0.3 < values.min() and values.max() < 1.3
    assert np.abs(inner - np.eye(inner.shape[1]) * values[:, None]).max() < 1e-4


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e6])
def test_the_size_of_a_momentum_does_not_matter(factor):
    matrices = np.random.default_rng(1).normal(size=(2, 16, 24))
    assert orthogonalised(factor * matrices) == pytest.approx(orthogonalised(matrices), abs=1e-4)


def test_no_momentum_no_step():
    matrices = np.zeros((2, 8, 16))
    matrices[1] = 1.0
    steps = orthogonalised(matrices)
    assert not steps[0].any() and np.isfinite(steps).all()
