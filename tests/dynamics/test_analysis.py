"""Analysis against cases with known answers."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.io import read

from ase_lode.dynamics.analysis import (
    bond_angles,
    bond_lengths,
    density_profile,
    deviations,
    diffusion,
    frame_interval,
    gyration_radii,
    mean_square_displacement,
    radial_distribution,
    ramachandran,
    vibrational_density,
)
from ase_lode.errors import ConfigError

PEPTIDE = Path(__file__).parents[2] / "md_examples" / "peptide" / "peptide.xyz"


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


def gas_of(molecules, frames, seed=0):
    """Frames of rattled, unwrapped molecules that reach across the boundary."""
    rng = np.random.default_rng(seed)
    start = Atoms(cell=[9, 10, 11], pbc=True)
    for _ in range(molecules):
        one = molecule("CH3OH")
        one.rotate(360 * rng.random(), rng.normal(size=3))
        one.translate(rng.random(3) * [9, 10, 11])
        start += one
    start.positions[0] += start.cell[0]
    found = []
    for _ in range(frames):
        frame = start.copy()
        frame.positions += rng.normal(scale=0.03, size=frame.positions.shape)
        found.append(frame)
    return found


def test_bonds_and_angles_agree_with_ase():
    """ASE's own analysis of the same bonds, one frame and one kind at a time."""
    from ase.geometry.analysis import Analysis

    frames = gas_of(1, 8)
    ours, theirs = bond_lengths(frames, 400), Analysis(frames)
    assert set(ours[1]) == {"C-H", "C-O", "H-O"}
    for first, second, count in (("C", "H", 3), ("C", "O", 1)):
        values = np.array(theirs.get_values(theirs.get_bonds(first, second, unique=True), mic=True))
        assert values.shape == (8, count)
        mean = (ours[0] * ours[1][f"{first}-{second}"]).sum() / ours[1][f"{first}-{second}"].sum()
        assert mean == pytest.approx(values.mean(), abs=0.003)
    angle, curves = bond_angles(frames, 360)
    assert set(curves) == {"H-C-H", "H-C-O", "C-O-H"}
    values = np.array(theirs.get_values(theirs.get_angles("H", "C", "O", unique=True), mic=True))
    assert (angle * curves["H-C-O"]).sum() / 2 == pytest.approx(values.mean(), abs=0.5)


def test_bonds_and_angles_are_densities_of_whole_molecules():
    length, curves = bond_lengths(gas_of(6, 5))
    assert all(values.sum() * (length[1] - length[0]) == pytest.approx(1) for values in curves.values())
    assert length[np.nonzero(curves["C-O"])].max() < 1.6
    angle, curves = bond_angles(gas_of(6, 5))
    assert all(values.sum() * (angle[1] - angle[0]) == pytest.approx(1) for values in curves.values())
    water = molecule("H2O")
    angle, curves = bond_angles([water])
    assert abs(angle[np.argmax(curves["H-O-H"])] - water.get_angle(1, 0, 2)) <= 0.5
    with pytest.raises(ConfigError, match="no covalent bonds"):
        bond_lengths([bulk("Cu")])


@pytest.mark.parametrize("periodic", [True, False])
def test_profile_of_a_film(periodic):
    """A film of known density between known heights, in a triclinic cell; the profile integrates to its mass."""
    rng = np.random.default_rng(0)
    cell = np.array([[10.0, 0, 0], [3, 9, 0], [1, 2, 30]])
    frames = []
    for _ in range(40):
        scaled = rng.random((300, 3))
        heights = 10 + 5 * rng.random(300)
        positions = scaled @ cell
        positions[:, 2] = heights + (30 * rng.integers(-1, 2, 300) if periodic else 0)
        frames.append(Atoms("O300", positions=positions, cell=cell, pbc=(True, True, periodic)))
    height, curves = density_profile(frames, "z", 0.5)
    inside = (height > 10.5) & (height < 14.5)
    expected = 300 * 15.999 * 1.66053907 / (90 * 5)
    assert curves["O"][inside] == pytest.approx(expected, rel=0.12)  # 1200 atoms in each bin: 4 σ
    assert curves["O"][inside].mean() == pytest.approx(expected, rel=0.03)
    assert curves["total"].sum() * 0.5 == pytest.approx(expected * 5, rel=1e-8)
    assert curves["O"][(height < 9.5) | (height > 15.5)].max(initial=0) == 0
    with pytest.raises(ConfigError, match="other two directions periodic"):
        density_profile([Atoms("O", cell=cell, pbc=False)])


def test_diffusion_of_a_random_walk():
    """D = spread²/2t of a walk with independent steps."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(scale=0.2, size=(1500, 200, 3)), axis=0)
    frames = [Atoms("Ar200", positions=positions) for positions in walk]
    time, curves = mean_square_displacement(frames, 10.0)
    assert diffusion(time, curves)["Ar"] == pytest.approx(0.2**2 / (2 * 0.01) * 1e-4, rel=0.05)
    with pytest.raises(ConfigError, match="Too few frames"):
        diffusion(time[:3], {"Ar": curves["Ar"][:3]})


def test_deviation_after_superposition():
    from ase.build import minimize_rotation_and_translation

    rng = np.random.default_rng(0)
    start = molecule("CH3CH2OH")
    turned = start.copy()
    turned.rotate(77, (1, 2, 3))
    turned.translate([5, -3, 2])
    moved = turned.copy()
    moved.positions += rng.normal(scale=0.1, size=moved.positions.shape)
    curves = deviations([start, turned, moved])
    assert set(curves) == {"all", "not H"} and curves["all"][:2] == pytest.approx(0, abs=1e-6)
    best = moved.copy()
    minimize_rotation_and_translation(start, best)
    expected = np.sqrt(((best.positions - start.positions) ** 2).sum(axis=1).mean())
    assert curves["all"][2] == pytest.approx(expected, abs=1e-6)


def test_radius_of_gyration():
    """Two atoms: √(m1 m2)/(m1 + m2) times their distance."""
    frames = [Atoms("HO", positions=[[0, 0, 0], [0, 0, length]]) for length in (1.0, 3.0)]
    m = frames[0].get_masses()
    assert gyration_radii(frames) == pytest.approx(np.sqrt(m[0] * m[1]) / m.sum() * np.array([1, 3]))


def test_ramachandran_of_a_peptide():
    """ACE-GLU-LYS-NME in any order of its atoms; carboxylate and ammonium groups are no residues."""
    peptide = read(PEPTIDE)
    order = np.random.default_rng(0).permutation(len(peptide))
    known = {"phi 1": (1, 3, 4, 5), "psi 1": (3, 4, 5, 7), "phi 2": (5, 7, 8, 9), "psi 2": (7, 8, 9, 11)}
    for frame in (peptide, peptide[order]):
        torsions = ramachandran([frame, frame])
        assert list(torsions) == list(known)
        for name, atoms in known.items():
            expected = (peptide.get_dihedral(*atoms) + 180) % 360 - 180
            assert torsions[name] == pytest.approx([expected] * 2, abs=1e-6)
    with pytest.raises(ConfigError, match="peptide"):
        ramachandran([molecule("CH3CONH2")])


def test_frame_interval():
    frames = [Atoms("H", info={"time_ps": 0.01 * n}) for n in range(4)]
    assert frame_interval(frames) == pytest.approx(10)
    assert frame_interval(frames, 2.0) == 2.0
    with pytest.raises(ConfigError, match="frame-fs"):
        frame_interval([*frames, frames[0]])
    with pytest.raises(ConfigError, match="two frames"):
        frame_interval(frames[:1])
