"""The compiled Nosé-Hoover chain and the barostats against ASE's own, and the chain's exact limits."""

import numpy as np
import pytest
from ase import units
from ase.md.nose_hoover_chain import MTKNPT, IsotropicMTKNPT, MTKBarostat, NoseHooverChainThermostat
from dynamics.md_systems import PureEMT, copper

from ase_lode._loops.chain import integrate_chain
from ase_lode.dynamics.ensembles import SHARES, FlexibleNPT, IsotropicNPT
from ase_lode.dynamics.settings import Settings
from ase_lode.dynamics.velocities import draw_velocities


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
    factor = integrate_chain((p**2 / masses).sum(), 15.0, ours._kT, ours._Q, ours._eta, ours._p_eta, 0.3, SHARES)
    assert factor * p == pytest.approx(expected, rel=1e-12)
    assert ours._eta == pytest.approx(theirs._eta, rel=1e-12)
    assert ours._p_eta == pytest.approx(theirs._p_eta, rel=1e-12)
    assert abs(factor - 1) > 1e-3


def test_barostat_agrees_with_ase():
    theirs, ours = (started(MTKBarostat(5, 300, 50.0), "_xi", "_p_xi", np.random.default_rng(2)) for _ in range(2))
    momentum = np.random.default_rng(3).normal(size=(3, 3))
    expected = theirs.integrate_nhc_baro(momentum.copy(), 0.3)
    factor = integrate_chain((momentum**2).sum() / ours.W, 9.0, ours._kT, ours._R, ours._xi, ours._p_xi, 0.3, SHARES)
    assert factor * momentum == pytest.approx(expected, rel=1e-12)
    assert ours._p_xi == pytest.approx(theirs._p_xi, rel=1e-12)


def test_backwards_in_time():
    masses, positions, momenta = np.ones(3), np.zeros(3), np.array([0.3, -0.2, 0.1])
    forth = integrate_chain(2.0, 3.0, 0.5, masses, positions, momenta, 0.4, SHARES)
    back = integrate_chain(2.0 * forth**2, 3.0, 0.5, masses, positions, momenta, -0.4, SHARES)
    assert forth * back == pytest.approx(1, abs=1e-14)
    assert positions == pytest.approx(0, abs=1e-14) and momenta == pytest.approx([0.3, -0.2, 0.1])


class Nine(FlexibleNPT):
    """The count of ASE's full-cell barostat."""

    strains = 9


class Alike(IsotropicNPT):
    """Links of the cell's chain as heavy as ASE's isotropic one makes them."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._barostat._R[0] *= 9


@pytest.mark.parametrize(("ours", "theirs"), [(Nine, MTKNPT), (Alike, IsotropicMTKNPT)])
def test_barostats_move_as_those_of_ase(ours, theirs):
    """Same degrees of freedom, same steps, from a strained cell at a pressure; 20 steps of 4 fs change the volume."""
    settings = Settings(ensemble="npt-mtk", timestep_fs=4.0, pressure_GPa=2.0, taut_fs=50, taup_fs=100)
    results = []
    for kind in (ours, theirs):
        atoms = copper((2, 1, 1))
        atoms.set_cell(atoms.cell.array @ [[1.02, 0.01, 0], [0.01, 0.99, 0], [0, 0, 1]], scale_atoms=True)
        atoms.calc = PureEMT()
        draw_velocities(atoms, 300, np.random.default_rng(1), zero_momentum=False)
        if kind is ours:
            integrator = kind(atoms, settings, 3 * len(atoms), None)
        else:
            integrator = kind(atoms, 4 * units.fs, temperature_K=300, pressure_au=2 * units.GPa, tdamp=50 * units.fs,
                              pdamp=100 * units.fs)
        volume = atoms.get_volume()
        for _ in range(20):
            integrator.step()
        results.append(np.concatenate([atoms.positions, atoms.cell, atoms.get_momenta()]))
        assert abs(atoms.get_volume() / volume - 1) > 1e-3
    assert results[0] == pytest.approx(results[1], abs=1e-10)
