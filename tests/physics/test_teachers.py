"""Potentials trained on labels of programs that run here, against these programs: lattice, stiffness, vibrations."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.eos import EquationOfState
from ase.phonons import Phonons
from ase.units import GPa
from ase.vibrations import Vibrations

from ase_lode import LODECalculator, train

DATA = Path(__file__).parents[2] / "md_examples" / "data"
#: Relative errors allowed in lattice constant, bulk modulus, and vibrations (root mean square).
LATTICE, MODULUS, VIBRATIONS = 0.005, 0.05, 0.05
SCALINGS = np.linspace(0.97, 1.03, 7)
#: Effective medium theory sees fourth neighbours: its cutoff falls off from 5.4 to 5.8 Å, which takes many radial
#: functions to follow. Its stresses weigh more, since bulk moduli are made of them.
ALLOY = {"file": "cual_emt.extxyz", "stress": 100.0,
         "model": {"density": {"cutoff": 6.0, "max_radial": 12, "max_angular": 3}, "fields": []}}
#: The stresses of tight binding, whose lattice sums are cut off, do not weigh more.
SALT = {"file": "nacl_xtb.extxyz", "stress": 1.0,
        "model": {"density": {"cutoff": 5.0, "max_radial": 6, "max_angular": 3},
                  "fields": [{"exponent": 1, "max_angular": 2, "near_field": "exterior", "sources": "charges",
                              "charges": {"Na": 0.8, "Cl": -0.8}}],
                  "baseline": {"reference_energies": {"Na": -4.7176, "Cl": -113.3723}}}}


def tight_binding():
    """The calculator that labelled the salt; tests without tblite are skipped."""
    return pytest.importorskip("tblite.ase", reason="needs tblite").TBLite(
        method="GFN1-xTB", accuracy=0.1, electronic_temperature=300.0, verbosity=0)


def learned(folder, file, model, stress):
    """A potential for a file of labelled structures, as a calculator; forces weigh more, since phonons are theirs."""
    config = {"schema": 1, "model": model, "weights": {"energy": 1.0, "forces": 10.0, "stress": stress},
              "data": {"train": {"file": str(DATA / file), "energy": "energy", "forces": "forces", "stress": "stress"},
                       "validation": {"fraction": 0.1}},
              "output": {"name": "learned", "directory": str(folder)}}
    potential, _ = train(config, quiet=True)
    return LODECalculator(potential, on_extrapolation="ignore")


def equation_of_state(crystal, calc):
    """Linear scaling of the minimum and bulk modulus in GPa, Birch and Murnaghan."""
    volumes, energies = [], []
    for scaling in SCALINGS:
        atoms = crystal.copy()
        atoms.set_cell(crystal.cell * scaling, scale_atoms=True)
        atoms.calc = calc
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    volume, _, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    return (volume / crystal.get_volume()) ** (1 / 3), modulus / GPa


def compare(crystal, ours, theirs):
    """Both equations of state agree; the crystal at the teacher's lattice constant."""
    (scaling, modulus), (expected, stiff) = (equation_of_state(crystal, calc) for calc in (ours, theirs))
    print(f"lattice {scaling / expected - 1:+.2%}, bulk modulus {modulus:.1f} GPa against {stiff:.1f} GPa")
    assert scaling == pytest.approx(expected, rel=LATTICE)
    assert modulus == pytest.approx(stiff, rel=MODULUS)
    relaxed = crystal.copy()
    relaxed.set_cell(crystal.cell * expected, scale_atoms=True)
    return relaxed


def close_in_all(found, expected):
    error = np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))
    print(f"vibrations {error:.2%}")
    assert error < VIBRATIONS


def test_metals_of_effective_medium_theory(tmp_path):
    """Both equations of state, and copper's phonons on a path through the zone, with supercells of 27 atoms."""
    ours = learned(tmp_path, **ALLOY)
    compare(bulk("Al", a=4.0), ours, EMT())
    copper = compare(bulk("Cu", a=3.6), ours, EMT())
    path = copper.cell.bandpath("GXWLG", npoints=20).kpts
    curves = []
    for name, calc in (("ours", ours), ("emt", EMT())):
        phonons = Phonons(copper, calc, supercell=(3, 3, 3), delta=0.02, name=tmp_path / name)
        phonons.run()
        phonons.read(acoustic=True)
        curves.append(phonons.band_structure(path))
    close_in_all(*curves)


@pytest.mark.slow
def test_rock_salt_of_tight_binding(tmp_path):
    """Vibrations of a cation and an anion among fixed neighbours, in the cell of 16 atoms that the labels belong to."""
    theirs = tight_binding()
    ours = learned(tmp_path, **SALT)
    salt = compare(bulk("NaCl", "rocksalt", a=5.528) * 2, ours, theirs)
    modes = []
    for name, calc in (("ours", ours), ("xtb", theirs)):
        atoms = salt.copy()
        atoms.calc = calc
        vibrations = Vibrations(atoms, indices=[0, 1], name=str(tmp_path / name), delta=0.02)
        vibrations.run()
        modes.append(np.sort(vibrations.get_frequencies().real))
    close_in_all(*modes)
