"""Analysis against cases with known answers."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

from ase_lode.dynamics.analysis import (
    frame_interval,
    mean_square_displacement,
    radial_distribution,
    vibrational_density,
)
from ase_lode.errors import ConfigError


def test_rdf_of_an_ideal_gas_and_of_a_crystal():
    rng = np.random.default_rng(0)
    frames = [Atoms("H60O60", positions=rng.random((120, 3)) * 8, cell=[8, 8, 8], pbc=True) for _ in range(20)]
    r, curves = radial_distribution(frames, 6.0, 12)
    assert set(curves) == {"H-H", "H-O", "O-O"}
    assert all(np.allclose(values[4:], 1, atol=0.05) for values in curves.values())
    r, curves = radial_distribution([bulk("Cu", cubic=True)], 3.0, 300)
    peak = np.argmax(curves["Cu-Cu"])
    assert r[peak] == pytest.approx(3.61 / np.sqrt(2), abs=0.01) and np.count_nonzero(curves["Cu-Cu"]) == 1
    density = 4 / 3.61**3
    assert curves["Cu-Cu"][peak] * density * 4 / 3 * np.pi * ((r[peak] + 0.005) ** 3 - (r[peak] - 0.005) ** 3) == \
        pytest.approx(12)


def test_rdf_refuses():
    with pytest.raises(ConfigError, match="periodic"):
        radial_distribution([Atoms("H2", positions=[[0, 0, 0], [1, 0, 0]])])
    with pytest.raises(ConfigError, match="write it as Cu-Cu"):
        radial_distribution([bulk("Cu")], pairs=["Cu-O"])


def test_msd_of_a_random_walk_equals_the_plain_sum():
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(40, 6, 3)), axis=0)
    frames = [Atoms("H4O2", positions=positions) for positions in walk]
    time, curves = mean_square_displacement(frames, 2.0)
    masses = frames[0].get_masses()
    walk -= (masses @ walk / masses.sum())[:, None]
    for lag in (0, 1, 7, 39):
        moved = walk[lag:] - walk[: len(walk) - lag]
        assert curves["O"][lag] == pytest.approx((moved[:, 4:] ** 2).sum(axis=2).mean(), abs=1e-9)
    assert time[-1] == pytest.approx(0.078)


def test_vdos_finds_the_frequency_and_integrates_to_one():
    frequency = 1600.0
    times = np.arange(2000) * 1.0
    frames = []
    for time in times:
        atoms = Atoms("HO", positions=[[0, 0, 0], [1, 0, 0]])
        swing = np.cos(2 * np.pi * frequency * 2.99792458e-5 * time)
        atoms.set_velocities(np.array([[swing, 0, 0], [-swing / 16, 0, 0]]) / units.fs * 0.01)
        frames.append(atoms)
    wavenumber, curves = vibrational_density(frames, 1.0)
    assert wavenumber[np.argmax(curves["total"])] == pytest.approx(frequency, abs=20)
    assert curves["total"].sum() * wavenumber[1] == pytest.approx(1)
    assert curves["H"].max() > 10 * curves["O"].max()
    with pytest.raises(ConfigError, match="velocities"):
        vibrational_density([Atoms("H")] * 10, 1.0)


def test_frame_interval():
    frames = [Atoms("H", info={"time_ps": 0.01 * n}) for n in range(4)]
    assert frame_interval(frames) == pytest.approx(10)
    assert frame_interval(frames, 2.0) == 2.0
    with pytest.raises(ConfigError, match="frame-fs"):
        frame_interval([*frames, frames[0]])
    with pytest.raises(ConfigError, match="two frames"):
        frame_interval(frames[:1])
