"""Every trap of real files: moved keys, units, constraints, zero cells, missing labels, and splits that keep apart."""

import gzip
import importlib
import tempfile

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from ase_lode.errors import DataError
from ase_lode.hypers import FileConfig, UnitsConfig, ValidationConfig
from ase_lode.training.dataset import Structure, find_file, labels_of, read_atoms, read_structures, split

PLAIN = UnitsConfig()


def water(energy=-1.5, **results):
    atoms = molecule("H2O")
    forces = np.arange(9.0).reshape(3, 3)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, **results)
    return atoms


def read(path, units=PLAIN, **keys):
    return read_structures(FileConfig(file=str(path), **keys), units)[0]


@pytest.mark.parametrize("suffix", ["extxyz", "xyz", "traj", "db"])
def test_formats_agree_and_constraints_do_not_touch_forces(tmp_path, suffix):
    path = tmp_path / f"water.{suffix}"
    atoms = water()
    atoms.set_constraint(FixAtoms([0]))
    if suffix == "db":
        with ase.db.connect(path) as database:
            database.write(atoms, config="a")
    else:
        ase.io.write(path, [atoms], format="extxyz" if suffix == "xyz" else None)
    structure = read(path)[0]
    assert structure.energy == -1.5
    assert (structure.forces == np.arange(9.0).reshape(3, 3)).all()
    assert not structure.system.pbc.any()


def test_database_pairs_and_arrays_are_labels(tmp_path):
    path = tmp_path / "a.db"
    with ase.db.connect(path) as database:
        database.write(molecule("H2O"), key_value_pairs={"dft": -3.0}, data={"pull": np.ones((3, 3))})
    structure = read(path, energy="dft", forces="pull")[0]
    assert structure.energy == -3.0 and (structure.forces == 1).all()


def test_units_are_those_of_the_labels_and_positions_stay_in_angstrom(tmp_path):
    path = tmp_path / "a.xyz"
    atoms = water(dipole=[0, 0, 1.0])
    ase.io.write(path, atoms, format="extxyz")
    structure = read(path, UnitsConfig(energy="hartree", length="bohr"), dipole="dipole")[0]
    assert structure.energy == pytest.approx(-1.5 * 27.211386)
    assert structure.forces[2, 2] == pytest.approx(8 * 51.422067)
    assert structure.dipole[2] == pytest.approx(0.529177)
    assert structure.system.positions == pytest.approx(atoms.positions)


def test_stress_of_nine_numbers_and_virial_agree(tmp_path):
    atoms = bulk("Si")
    tensor = np.array([[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]]) * 1e-2
    atoms.info.update(energy=-10.0, my_stress=tensor, virial=-tensor * atoms.get_volume())
    path = tmp_path / "si.xyz"
    ase.io.write(path, atoms, format="extxyz")
    expected = np.array([1.0, 2.0, 3.0, 0.4, 0.5, 0.6]) * 1e-2
    assert read(path, forces=None, stress="my_stress")[0].stress == pytest.approx(expected)
    assert read(path, forces=None, virial="virial")[0].stress == pytest.approx(expected)
    assert read(path, forces=None)[0].stress is None


def test_skewed_stress_is_refused(tmp_path):
    atoms = bulk("Si")
    atoms.info["odd"] = np.arange(9.0).reshape(3, 3)
    path = tmp_path / "si.xyz"
    ase.io.write(path, atoms, format="extxyz")
    with pytest.raises(DataError, match="not symmetric"):
        read(path, energy=None, forces=None, stress="odd")


def test_zero_cell_means_isolated(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text('1\nLattice="0 0 0 0 0 0 0 0 0" Properties=species:S:1:pos:R:3 e=1.0 pbc="T T T"\nH 0 0 0\n')
    assert not read(path, energy="e", forces=None)[0].system.pbc.any()


def test_missing_labels_are_counted_and_the_nearest_key_named(tmp_path):
    path = tmp_path / "train.xyz"
    frames = []
    for _ in range(3):
        atoms = molecule("H2O")
        atoms.info["energy"] = 1.0
        atoms.arrays["force"] = np.zeros((3, 3))
        frames.append(atoms)
    ase.io.write(path, frames, format="extxyz")
    with pytest.raises(DataError, match=r"energies 3/3, forces 0/3.*'forces' to 'force'"):
        read(path)
    del frames[1].info["energy"]
    ase.io.write(path, frames, format="extxyz")
    with pytest.raises(DataError, match=r"energies 2/3, forces 3/3"):
        read(path, forces="force")


@pytest.mark.parametrize("key, message", [("word", "not a number"), ("pair", "shape"), ("bad", "not finite")])
def test_labels_that_make_no_sense_are_refused(tmp_path, key, message):
    path = tmp_path / "a.xyz"
    path.write_text('1\nProperties=species:S:1:pos:R:3 word=hello pair="1 2" bad=nan\nH 0 0 0\n')
    with pytest.raises(DataError, match=message):
        read(path, energy=key, forces=None)


@pytest.mark.parametrize("content", ["", "3\n", "2\ncomment\nH 0 0\n", "nonsense\n\n", "1\nProperties=pos:R:3\nH 0\n"])
def test_damaged_files_give_one_clear_error(tmp_path, content):
    path = tmp_path / "a.xyz"
    path.write_text(content)
    with pytest.raises(DataError, match=r"a\.xyz"):
        list(read_atoms(path))


@pytest.mark.parametrize("module, suffix", [("gzip", "gz"), ("bz2", "bz2"), ("lzma", "xz")])
def test_packed_files_read_like_plain_ones(tmp_path, module, suffix):
    path = tmp_path / f"a.xyz.{suffix}"
    frames = [Atoms("OH", positions=[[0, 0, 0], [0, 0, 1 + k]], info={"energy": k}) for k in range(3)]
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    packed = importlib.import_module(module).compress((tmp_path / "a.xyz").read_bytes())
    path.write_bytes(packed)
    assert [(atoms.get_distance(0, 1), labels_of(atoms)["energy"]) for atoms in read_atoms(path)] == [
        (1, 0), (2, 1), (3, 2)]
    path.write_bytes(packed[:len(packed) // 2])
    with pytest.raises(DataError, match=rf"a\.xyz\.{suffix}"):
        list(read_atoms(path))
    path.write_bytes(importlib.import_module(module).compress(b""))
    with pytest.raises(DataError) as error:
        list(read_atoms(path))
    assert tempfile.gettempdir() not in str(error.value).replace(str(tmp_path), "")


def test_packed_databases_keep_their_keys(tmp_path):
    with ase.db.connect(tmp_path / "a.db") as store:
        store.write(water(), dft=-3.5)
    (tmp_path / "a.db.gz").write_bytes(gzip.compress((tmp_path / "a.db").read_bytes()))
    assert [labels_of(atoms)["dft"] for atoms in read_atoms(tmp_path / "a.db.gz")] == [-3.5]


def test_files_are_found_beside_the_config_and_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("ASE_LODE_DATA", raising=False)
    store = tmp_path / "store" / "water"
    store.mkdir(parents=True)
    (store / "train.xyz").write_text("x")
    for name, folder in (("train.xyz", store), ("water/train.xyz", store.parent), ("train.xyz", store.parent),
                         ("water/train.xyz", store)):
        assert find_file(name, tmp_path, folder).resolve() == store / "train.xyz"
    monkeypatch.setenv("ASE_LODE_DATA", str(store.parent))
    assert find_file("water/train.xyz", tmp_path) == store / "train.xyz"
    (tmp_path / "train.xyz").write_text("mine")
    assert find_file("train.xyz", tmp_path) == tmp_path / "train.xyz"
    other = store.parent / "ice"
    other.mkdir()
    (other / "train.xyz").write_text("x")
    with pytest.raises(DataError, match="Several folders"):
        find_file("train.xyz", store.parent)
    with pytest.raises(DataError, match=r"not found.*ASE_LODE_DATA"):
        find_file("absent.xyz", tmp_path)


def structures(count, groups=None):
    return [Structure(None, group=groups and groups[k % len(groups)]) for k in range(count)]


def test_fraction_split_is_seeded_and_disjoint():
    train, held = split(structures(40), ValidationConfig(fraction=0.25), seed=4)
    again = split(structures(40), ValidationConfig(fraction=0.25), seed=4)[1]
    assert len(held) == 10 and sorted([*train, *held]) == list(range(40)) and (held == again).all()
    assert len(split(structures(1), ValidationConfig(fraction=0.9), seed=0)[0]) == 1


def test_groups_and_blocks_stay_together():
    data = structures(60, list("abcdef"))
    held = split(data, ValidationConfig(group_by="kind"), seed=1)[1]
    assert len({data[k].group for k in held}) == 1 and len(held) == 10
    held = split(data, ValidationConfig(blocks=20), seed=1)[1]
    assert len(held) == 6 and set(np.diff(held)) <= {1, *range(4, 60)}
    with pytest.raises(DataError, match="same 'kind'"):
        split(structures(4, ["a"]), ValidationConfig(group_by="kind"), seed=0)
    with pytest.raises(DataError, match="blocks: 9 exceeds"):
        split(structures(4), ValidationConfig(blocks=9), seed=0)


def test_group_key_must_exist(tmp_path):
    path = tmp_path / "a.xyz"
    ase.io.write(path, water(), format="extxyz")
    with pytest.raises(DataError, match=r"group_by.*'phase'"):
        read_structures(FileConfig(file=str(path)), PLAIN, group_by="phase")


def test_labels_include_what_ase_moved():
    atoms = Atoms("H")
    atoms.calc = SinglePointCalculator(atoms, energy=2.0)
    atoms.info["note"] = "x"
    assert labels_of(atoms) == {"energy": 2.0, "note": "x"}
