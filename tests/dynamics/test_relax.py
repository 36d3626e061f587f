"""Relaxation: every optimizer and cell option, constraints, symmetry, pressure, failure."""

import csv

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.io import read
from dynamics.md_systems import Faulty, PureEMT, copper, slab

from ase_lode.dynamics import relax
from ase_lode.dynamics.relax import OPTIMIZERS
from ase_lode.errors import ConfigError, SimulationError


def rattled(strain=0.0, **options):
    atoms = copper(**options)
    atoms.rattle(0.05, seed=1)
    atoms.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
    return atoms


def pressure(atoms):
    return -atoms.get_stress()[:3].mean() / units.GPa


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_agree(optimizer):
    atoms = rattled()
    result = relax(atoms, fmax=0.01, optimizer=optimizer.upper(), quiet=True)
    assert result.atoms is atoms and result.converged and result.steps > 0 and result.fmax < 0.01
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() == pytest.approx(result.fmax, abs=1e-9)


def test_full_cell_and_pressure():
    atoms = rattled(0.03)
    assert relax(atoms, fmax=1e-3, cell="full", quiet=True).converged
    assert np.abs(atoms.get_stress()).max() / units.GPa < 0.02
    free = atoms.get_volume()
    assert relax(atoms, fmax=1e-3, cell="full", pressure_GPa=10, quiet=True).converged
    assert pressure(atoms) == pytest.approx(10, abs=0.05) and atoms.get_volume() < free


def test_volume_keeps_the_shape():
    atoms = rattled(0.03)
    atoms.set_cell(atoms.cell.array @ np.diag([1.0, 1.02, 0.99]), scale_atoms=True)
    before = atoms.cell.cellpar()
    assert relax(atoms, fmax=1e-3, cell="volume", pressure_GPa=2, quiet=True).converged
    assert np.allclose(atoms.cell.cellpar()[:3] / before[:3], (atoms.cell.cellpar()[:3] / before[:3])[0], atol=1e-6)
    assert pressure(atoms) == pytest.approx(2, abs=0.05)


def test_shape_keeps_the_volume():
    atoms = rattled()
    atoms.set_cell(atoms.cell.array @ np.diag([1.0, 1.05, 0.98]), scale_atoms=True)
    before = atoms.get_volume()
    assert relax(atoms, fmax=1e-3, cell="shape", quiet=True).converged
    assert atoms.get_volume() == pytest.approx(before, rel=1e-4)
    stress = atoms.get_stress()
    assert np.abs(stress - stress[:3].mean() * np.array([1, 1, 1, 0, 0, 0])).max() / units.GPa < 0.05


def test_xy_keeps_the_height():
    atoms = slab()
    atoms.set_cell(atoms.cell.array @ np.diag([1.03, 1.02, 1.0]), scale_atoms=True)
    height = atoms.cell[2].copy()
    assert relax(atoms, fmax=1e-3, cell="xy", quiet=True).converged
    assert np.allclose(atoms.cell[2], height, atol=1e-10) and np.allclose(atoms.cell[:2, 2], 0, atol=1e-10)
    assert np.abs(atoms.get_stress()[[0, 1, 5]]).max() / units.GPa < 0.02


def test_constraints_are_respected_and_restored():
    atoms = rattled()
    atoms.set_constraint(FixAtoms([0, 1]))
    before = atoms.get_positions()
    assert relax(atoms, quiet=True).converged
    assert np.array_equal(atoms.positions[:2], before[:2]) and not np.array_equal(atoms.positions, before)
    assert len(atoms.constraints) == 1 and isinstance(atoms.constraints[0], FixAtoms)


def test_symmetry_is_kept():
    spglib = pytest.importorskip("spglib", reason="symmetry needs spglib")
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell.array @ np.diag([1.04, 1.04, 1.01]), scale_atoms=True)
    atoms.calc = PureEMT()
    assert relax(atoms, fmax=1e-3, cell="full", symmetry=True, quiet=True).converged
    number = spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), 1e-4).number
    assert number in (139, 225) and not atoms.constraints


def test_symmetry_without_spglib_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spglib", None)
    with pytest.raises(ConfigError, match="pip install spglib"):
        relax(copper(), symmetry=True)


def test_outputs(tmp_path):
    atoms = rattled()
    result = relax(atoms, trajectory=tmp_path / "r.traj", log=tmp_path / "r.csv", plot=tmp_path / "r.png", quiet=True)
    with open(tmp_path / "r.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    frames = read(tmp_path / "r.traj", ":")
    assert [int(row["step"]) for row in rows] == list(range(result.steps + 1)) == [f.info["step"] for f in frames]
    assert float(rows[-1]["fmax_eV_A"]) == pytest.approx(result.fmax)
    assert float(rows[-1]["energy_eV"]) == pytest.approx(frames[-1].get_potential_energy())
    assert float(rows[-1]["energy_eV"]) < float(rows[0]["energy_eV"])
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert f"step {result.steps}" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_too_few_steps_is_not_converged(capsys):
    result = relax(rattled(), fmax=1e-4, steps=2)
    assert not result.converged and result.steps == 2 and result.fmax > 1e-4
    assert "fmax" in capsys.readouterr().err
    assert relax(bulk_at_rest(), steps=0, quiet=True).converged


def bulk_at_rest():
    atoms = copper()
    relax(atoms, fmax=1e-3, cell="full", quiet=True)
    return atoms


@pytest.mark.parametrize(("fault", "words"), [("nan", "not finite"), ("raise", "training range")])
def test_the_last_good_frame_is_kept(tmp_path, fault, words):
    atoms = rattled()
    atoms.calc = Faulty(fault, after=4)
    with pytest.raises(SimulationError, match=words) as caught:
        relax(atoms, cell="full", trajectory=tmp_path / "r.traj", quiet=True)
    assert "r.last_good.extxyz" in str(caught.value)
    last = read(tmp_path / "r.traj")
    assert np.array_equal(atoms.positions, last.positions) and np.array_equal(atoms.cell.array, last.cell.array)
    assert np.allclose(read(tmp_path / "r.last_good.extxyz").positions, last.positions, atol=1e-7)


@pytest.mark.parametrize(("options", "words"), [
    ({"optimizer": "newton"}, "lbfgs, bfgs"), ({"cell": "fulll"}, "did you mean 'full'"), ({"fmax": 0}, "fmax"),
    ({"pressure_GPa": 1}, "no effect"), ({"cell": "full", "pressure_GPa": float("nan")}, "finite"),
    ({"steps": -1}, "steps"), ({"trajectory": "a.pdb"}, "extxyz"), ({"fmax": "small"}, "fmax"),
    ({"cell": "full", "pressure_GPa": [0, 1]}, "finite"), ({"plot": "a.pdf"}, "png"),
    ({"trajectory": "a.xyz", "log": "a.xyz"}, "own")])
def test_bad_options_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        relax(copper(), quiet=True, **options)


def test_structures_that_do_not_fit_are_refused():
    for nothing in (None, [copper()], Atoms(calculator=PureEMT())):
        with pytest.raises(ConfigError, match="an ase.Atoms"):
            relax(nothing)
    atoms = copper()
    atoms.calc = None
    with pytest.raises(ConfigError, match="no calculator"):
        relax(atoms)
    atoms = copper()
    atoms.pbc = False
    with pytest.raises(ConfigError, match="periodic cell"):
        relax(atoms, cell="full")
    atoms = copper()
    atoms.rotate(20, "x", rotate_cell=True)
    with pytest.raises(ConfigError, match="xy plane"):
        relax(atoms, cell="xy")
