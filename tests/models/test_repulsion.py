"""The repulsion is the derivative of its energy, smooth where it ends, and absent beyond."""

import numpy as np
import pytest

from ase_lode.models.baseline import Baseline
from ase_lode.models.repulsion import COULOMB, Repulsion
from ase_lode.neighbors import NeighborList
from ase_lode.system import System

CONTACT = np.array([[0.6, 0.9], [0.9, 1.4]])


def cluster(seed=0, n=6, periodic=True):
    rng = np.random.default_rng(seed)
    cell = np.array([[2.5, 0.2, 0.0], [0.1, 2.7, 0.3], [0.0, -0.2, 2.6]])
    return System(rng.choice([1, 8], n), rng.uniform(0, 2.5, (n, 3)), cell, np.full(3, periodic))


def evaluate(system, n_threads=1):
    pairs = NeighborList(2.0).pairs(system, 2.0)
    return Baseline(("H", "O"), np.zeros(2), CONTACT).evaluate(system, pairs, n_threads)


def strained(system, strain):
    deform = (np.eye(3) + strain).T
    return System(system.numbers, system.positions @ deform, system.cell @ deform, system.pbc)


def test_gradient_and_virial_are_derivatives_of_the_energy():
    system = cluster()
    energies, gradient, virial = evaluate(system)
    assert energies.sum() > 1
    step = 1e-5
    for atom, axis in np.ndindex(len(system), 3):
        shift = np.zeros((len(system), 3))
        shift[atom, axis] = step
        ends = [evaluate(System(system.numbers, system.positions + sign * shift, system.cell, system.pbc))[0].sum()
                for sign in (1, -1)]
        assert gradient[atom, axis] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-5)
    for index in np.ndindex(3, 3):
        strain = np.zeros((3, 3))
        strain[index] = step
        ends = [evaluate(strained(system, sign * strain))[0].sum() for sign in (1, -1)]
        assert virial[index] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-5)


def test_ends_smoothly_and_is_zero_beyond_contact():
    def pair(r):
        return evaluate(System(np.array([8, 1]), np.array([[0, 0, 0], [r, 0, 0]]), np.eye(3), np.zeros(3, bool)))

    assert pair(0.91)[0].sum() == 0 and abs(pair(0.91)[1]).max() == 0
    assert 0 < pair(0.8999)[0].sum() < 1e-6 and abs(pair(0.8999)[1]).max() < 1e-3
    distances = np.linspace(0.05, 0.89, 40)
    assert (np.diff([pair(r)[0].sum() for r in distances]) < 0).all()


def test_nuclei_repel_unscreened_at_close_contact():
    energies = evaluate(System(np.array([8, 1]), np.array([[0, 0, 0], [1e-3, 0, 0]]), np.eye(3), np.zeros(3, bool)))[0]
    assert energies.sum() == pytest.approx(COULOMB * 8 / 1e-3, rel=0.03)


def test_threads_agree_to_the_last_bit():
    system = cluster(3, 90, periodic=False)
    for one, two in zip(evaluate(system, 1), evaluate(system, 2)):
        assert (one == two).all()


def test_cutoff_is_the_largest_contact():
    assert Repulsion(np.array([1.0, 8.0]), CONTACT).cutoff == 1.4
