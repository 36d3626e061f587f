"""Starting structures: geometry, charge and hydrogens, and what is refused."""

import random
from pathlib import Path

import numpy as np
import pytest

from ase_lode.dynamics.bonds import Bonds
from ase_lode.dynamics.molecules import PeptideWarning, from_pdb, from_smiles
from ase_lode.errors import ConfigError, StructureError

PDB = Path(__file__).parents[2] / "md_examples" / "peptide" / "peptide.pdb"


@pytest.fixture
def rdkit():
    return pytest.importorskip("rdkit", reason="needs RDKit")


@pytest.fixture
def pdb(tmp_path):
    """Function that writes the example's lines, changed, and reads them as a peptide."""
    pytest.importorskip("pdbfixer", reason="needs PDBFixer")

    def changed(change, **options):
        path = tmp_path / "changed.pdb"
        path.write_text("\n".join(change(PDB.read_text().splitlines())) + "\n")
        return from_pdb(path, **options)

    return changed


@pytest.mark.parametrize(("smiles", "formula", "charge", "bonds"), [
    ("CCO", "C2H6O", 0, 8), ("CC(=O)[O-]", "C2H3O2", -1, 6), ("C[NH3+]", "CH6N", 1, 7)])
def test_smiles(rdkit, smiles, formula, charge, bonds):
    atoms = from_smiles(smiles)
    assert atoms.get_chemical_formula() == formula and atoms.info["charge"] == charge
    assert len(Bonds.find(atoms)) == bonds and not atoms.pbc.any()
    assert np.array_equal(atoms.positions, from_smiles(smiles).positions)


@pytest.mark.parametrize("smiles", ["C(C", "", "C(C)(C)(C)(C)C", "Xx"])
def test_bad_smiles(rdkit, smiles, capfd):
    with pytest.raises(StructureError, match="not a valid SMILES"):
        from_smiles(smiles)
    assert capfd.readouterr().err == ""


def test_several_molecules(rdkit):
    with pytest.raises(StructureError, match="several molecules"):
        from_smiles("[Na+].[Cl-]")


def test_missing_packages(monkeypatch):
    modules = __import__("sys").modules
    monkeypatch.setitem(modules, "rdkit", None)
    monkeypatch.setitem(modules, "pdbfixer", None)
    with pytest.raises(ConfigError, match=r"ase-lode\[smiles\]"):
        from_smiles("C")
    with pytest.raises(ConfigError, match=r"ase-lode\[proteins\]"):
        from_pdb(PDB)


def test_peptide(pdb):
    """ACE-GLU-LYS-NME without hydrogens: 26 come back, in bonds of the right lengths; the same each time."""
    state = random.getstate()
    atoms = pdb(lambda lines: lines)
    assert random.getstate() == state
    assert atoms.get_chemical_formula() == "C14H26N4O5" and atoms.info["residues"] == "ACE GLU LYS NME"
    assert atoms.info["charge"] == 0
    bonds = Bonds.find(atoms)
    hydrogen = (atoms.numbers[bonds.first] == 1) | (atoms.numbers[bonds.second] == 1)
    lengths = bonds.lengths(atoms.positions, np.eye(3))
    assert hydrogen.sum() == 26 and len(bonds) == 48 and 0.9 < lengths[hydrogen].min() < lengths[hydrogen].max() < 1.2
    assert np.array_equal(atoms.positions, pdb(lambda lines: lines).positions)


def test_protonation_follows_the_ph(pdb):
    assert pdb(lambda lines: lines, ph=2.0).info["charge"] == 1
    assert pdb(lambda lines: lines, ph=12.5).info["charge"] == -1


def test_a_lost_side_chain_atom_comes_back(pdb):
    atoms = pdb(lambda lines: [line for line in lines if " CD  GLU" not in line])
    assert atoms.get_chemical_formula() == "C14H26N4O5"


def test_uncapped_ends_are_warned_of(pdb):
    with pytest.warns(PeptideWarning, match="uncapped GLU and LYS"):
        atoms = pdb(lambda lines: [line for line in lines if "ACE" not in line and "NME" not in line])
    assert atoms.info["residues"] == "GLU LYS" and atoms.info["charge"] == 0


def test_water_is_left_out_and_named(pdb):
    extra = "HETATM   24  O   HOH B   5      20.000  20.000  20.000  1.00  0.00           O"
    with pytest.warns(PeptideWarning, match="Left out: HOH"):
        atoms = pdb(lambda lines: [*lines[:-1], extra, lines[-1]])
    assert len(atoms) == 49


@pytest.mark.parametrize(("change", "words"), [
    (lambda lines: [line.replace("LYS", "MSE") for line in lines], "MSE are not standard"),
    (lambda lines: [line.replace("LYS", "XYZ").replace("GLU", "XYZ").replace("ACE", "XYZ").replace("NME", "XYZ")
                    for line in lines], "no amino acids"),
    (lambda lines: [line for line in lines if "LYS" not in line], "broken between GLU 2 and NME 4")])
def test_what_would_be_a_guess_is_refused(pdb, change, words):
    with pytest.raises(StructureError, match=words):
        pdb(change)
