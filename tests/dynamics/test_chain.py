"""The Nosé-Hoover chain in plain floats against ASE's own, and its exact limits."""

import numpy as np
import pytest
from ase.md.nose_hoover_chain import MTKBarostat, NoseHooverChainThermostat

from ase_lode.dynamics.ensembles import integrate_chain


def started(chain, positions, momenta, rng):
    """A chain in the middle of a run."""
    setattr(chain, positions, rng.normal(size=3))
    setattr(chain, momenta, rng.normal(size=3))
    return chain


def test_thermostat_agrees_with_ase():
    rng = np.random.default_rng(0)
    masses, p = rng.random((5, 1)) + 1, rng.normal(size=(5, 3))
    theirs, ours = (started(NoseHooverChainThermostat(5, masses, 300, 10.0), "_eta", "_p_eta", np.random.default_rng(1))
                    for _ in range(2))
    expected = theirs.integrate_nhc(p.copy(), 0.3)
    factor = integrate_chain((p**2 / masses).sum(), 15, ours._kT, ours._Q, ours._eta, ours._p_eta, 0.3)
    assert factor * p == pytest.approx(expected, rel=1e-12)
    assert ours._eta == pytest.approx(theirs._eta, rel=1e-12)
    assert ours._p_eta == pytest.approx(theirs._p_eta, rel=1e-12)
    assert abs(factor - 1) > 1e-3


def test_barostat_agrees_with_ase():
    theirs, ours = (started(MTKBarostat(5, 300, 50.0), "_xi", "_p_xi", np.random.default_rng(2)) for _ in range(2))
    momentum = np.random.default_rng(3).normal(size=(3, 3))
    expected = theirs.integrate_nhc_baro(momentum.copy(), 0.3)
    factor = integrate_chain((momentum**2).sum() / ours.W, 9, ours._kT, ours._R, ours._xi, ours._p_xi, 0.3)
    assert factor * momentum == pytest.approx(expected, rel=1e-12)
    assert ours._p_xi == pytest.approx(theirs._p_xi, rel=1e-12)


def test_backwards_in_time():
    masses, positions, momenta = np.ones(3), np.zeros(3), np.array([0.3, -0.2, 0.1])
    forth = integrate_chain(2.0, 3, 0.5, masses, positions, momenta, 0.4)
    back = integrate_chain(2.0 * forth**2, 3, 0.5, masses, positions, momenta, -0.4)
    assert forth * back == pytest.approx(1, abs=1e-14)
    assert positions == pytest.approx(0, abs=1e-14) and momenta == pytest.approx([0.3, -0.2, 0.1])
