"""The potential file: complete, reproducible and atomic; whatever damage it takes, one clear error."""

import io
import json
import os
import warnings
import zipfile

import numpy as np
import pytest
from synthetic import bulk, energy_and_forces, potential

from ase_lode import LODECalculator, load_potential
from ase_lode.errors import PotentialFileError
from ase_lode.models import file
from ase_lode.models.library import verify


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "saved.lode"
    potential("two", posterior=True, max_radial=1, max_angular=1).save(path)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(path, parts, compression=zipfile.ZIP_STORED, checksum=True):
    """Write members as an archive, with the right checksum unless told otherwise."""
    parts = dict(parts)
    if checksum:
        parts.pop(file.CHECKSUM, None)
        parts[file.CHECKSUM] = file._digest(parts).encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def header(parts, **changes):
    """The members with entries of the header changed; None removes one."""
    content = {**json.loads(parts[file.HEADER]), **changes}
    content = {key: value for key, value in content.items() if value is not None}
    return {**parts, file.HEADER: json.dumps(content).encode()}


def npy(array, **keywords):
    stream = io.BytesIO()
    np.save(stream, array, **keywords)
    return stream.getvalue()


def refused(path, words="."):
    """Loading raises the one error, of one or two sentences, that names the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PotentialFileError, match=words) as caught:
            load_potential(path)
    message = str(caught.value)
    assert str(path) in message and len(message) < 400 and "\n" not in message
    with pytest.raises(PotentialFileError):
        LODECalculator(path)


def test_round_trip(saved):
    original = potential("two", posterior=True, max_radial=1, max_angular=1)
    loaded = load_potential(saved)
    assert (loaded.weights == original.weights).all() and (loaded.posterior == original.posterior).all()
    assert all((a == b).all() for a, b in zip(loaded.ranges, original.ranges))
    assert loaded.model == original.model and loaded.elements == original.elements
    assert loaded.baseline.to_dict() == original.baseline.to_dict()
    assert loaded.name == original.name and loaded.header["level_of_theory"] == "none"
    atoms = bulk()
    found, expected = (energy_and_forces(atoms, LODECalculator(p, n_threads=1)) for p in (loaded, original))
    assert found[0] == expected[0] and (found[1] == expected[1]).all()
    assert verify(saved)["sha256"] == loaded.sha256


def test_same_potential_same_bytes(saved, tmp_path):
    again, thrice = tmp_path / "again.lode", tmp_path / "thrice.lode"
    loaded = load_potential(saved)
    loaded.save(again)
    load_potential(again).save(thrice)
    assert saved.read_bytes() == again.read_bytes() == thrice.read_bytes()
    assert load_potential(again).sha256 == loaded.sha256


def test_truncated_files(saved, tmp_path):
    content, path = saved.read_bytes(), tmp_path / "short.lode"
    for length in {0, 1, 4, 30, *np.linspace(5, len(content) - 1, 25).astype(int)}:
        path.write_bytes(content[:length])
        refused(path)


def test_flipped_bits_never_pass(saved, tmp_path):
    """Either the error, or (in the archive's fields that carry nothing) exactly the same potential."""
    content, path = bytearray(saved.read_bytes()), tmp_path / "flipped.lode"
    rng = np.random.default_rng(0)
    edges = np.concatenate([np.arange(60), len(content) - 1 - np.arange(400)])
    expected, passed = load_potential(saved), 0
    for position in np.concatenate([edges, rng.integers(0, len(content), 400)]):
        content[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            loaded = load_potential(path)
        except PotentialFileError:
            pass
        else:
            passed += position in range(60, len(content) - 400)
            assert (loaded.weights == expected.weights).all() and loaded.header == expected.header
            assert loaded.model == expected.model and (loaded.posterior == expected.posterior).all()
        content = bytearray(saved.read_bytes())
    assert passed < 0.1 * 400


def test_appended_and_foreign_files(saved, tmp_path):
    path = tmp_path / "other.lode"
    for content in (b"", b"PK", b"not a potential", os.urandom(5000), npy(np.zeros(3)), b"\x00" * 100):
        path.write_bytes(content)
        refused(path, "damaged or not a potential file")


def test_directories_and_missing_files(tmp_path):
    for path in (tmp_path, tmp_path / "missing.lode"):
        with pytest.raises(PotentialFileError, match="no potential"):
            load_potential(path)
        with pytest.raises(PotentialFileError, match="no potential file"):
            file.read(path)


@pytest.mark.parametrize("schema", [0, 2, 999, "1", -1, 1.5, [], None])
def test_wrong_schemas(saved, tmp_path, schema):
    words = "no schema" if schema is None else "has schema .* update ase_lode"
    refused(rebuilt(tmp_path / "x.lode", header(members(saved), schema=schema)), words)


@pytest.mark.parametrize("content", [b"{}", b"[]", b"null", b"", b"{", b"\xff\xfe", b'{"schema": 1}',
                                     b"[" * 100000, b'{"schema": 1, "model": 3, "baseline": 4}'])
def test_damaged_headers(saved, tmp_path, content):
    refused(rebuilt(tmp_path / "x.lode", {**members(saved), file.HEADER: content}))


@pytest.mark.parametrize("part, change", [
    ("model", {"density": None}), ("model", {"elements": None}), ("model", {"elements": []}),
    ("model", {"elements": ["H"]}), ("model", {"elements": ["H", "C", "Qq"]}), ("model", {"surprise": 1}),
    ("model", {"fields": [{"exponent": 9}]}), ("model", {"charges": None, "fields": [{"exponent": 1}]}),
    ("model", {"density": {"cutoff": 1e300}}), ("model", {"density": {"cutoff": 4.0, "max_radial": 10**9}}),
    ("baseline", {"energies": [1.0]}), ("baseline", {"energies": "abc"}), ("baseline", {"elements": ["H"]}),
    ("baseline", {"elements": ["O", "C", "H"]}), ("baseline", {"contact": [[1.0]]}), ("baseline", {"energies": None}),
    ("baseline", {"energies": [float("nan")] * 3}), ("baseline", {"contact": [[-1.0] * 3] * 3})])
def test_inconsistent_headers(saved, tmp_path, part, change):
    parts = members(saved)
    content = {**json.loads(parts[file.HEADER])[part], **change}
    content = {key: value for key, value in content.items() if value is not None or key == "contact"}
    refused(rebuilt(tmp_path / "x.lode", header(parts, **{part: content})))


def declared(shape, dtype="<f8", fortran=False, data=b""):
    """An .npy member that declares any shape, whatever its data."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


@pytest.mark.parametrize("data", [
    declared((10**9, 10**9)), declared((2**62, 2**62, 2**62)), declared((-1, 5)), declared((0,)), declared(()),
    declared((2, 3), data=b"\0" * 47), declared((2, 3), data=b"\0" * 49), declared((2, 3), "|O", data=b"\0" * 48),
    declared((3,), "<i8", data=b"\0" * 24), declared((3,), "<c16", data=b"\0" * 48), declared("'x'"), declared((True,)),
    b"", b"\x93NUMPY", b"\x93NUMPY\x03\x00" + b"\0" * 100, b"\x93NUMPY\x01\x00\xff\xff{", b"PK\x03\x04",
    npy(np.array([{"a": 1}], dtype=object), allow_pickle=True), npy(np.full((3, 4), np.nan)),
    npy(np.full((3, 4), np.inf)), npy(np.zeros((3, 4)))])
@pytest.mark.parametrize("name", ["weights", "posterior", "lower"])
def test_damaged_arrays(saved, tmp_path, name, data):
    refused(rebuilt(tmp_path / "x.lode", {**members(saved), f"{name}.npy": data}))


def test_missing_and_unknown_arrays(saved, tmp_path):
    parts = members(saved)
    path = tmp_path / "x.lode"
    refused(rebuilt(path, {name: data for name, data in parts.items() if name != "weights.npy"}), "inconsistent")
    refused(rebuilt(path, {name: data for name, data in parts.items() if name != "upper.npy"}), "inconsistent")
    no_draws = load_potential(saved).posterior[:0]
    refused(rebuilt(path, {**parts, "posterior.npy": npy(no_draws)}), "inconsistent")
    refused(rebuilt(path, {**parts, "surprise.npy": npy(np.zeros(3))}), "unknown array")
    refused(rebuilt(path, {**parts, "../escape.npy": npy(np.zeros(3))}), "unknown array")
    refused(rebuilt(path, {name: data for name, data in parts.items() if name != file.HEADER}), "damaged")
    parts.pop(file.CHECKSUM)
    refused(rebuilt(path, parts, checksum=False), "damaged")
    refused(rebuilt(path, {**parts, file.CHECKSUM: b"0" * 64}, checksum=False), "SHA-256 does not match")


def test_a_bomb_is_refused_before_it_is_unpacked(saved, tmp_path):
    bomb = rebuilt(tmp_path / "bomb.lode", {**members(saved), "weights.npy": b"\0" * 10**8}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 10**6
    refused(bomb, "compressed")


def test_no_pickle_is_ever_read(saved, tmp_path, monkeypatch):
    import pickle

    def explode(*arguments, **keywords):
        raise AssertionError("a pickle was read")

    monkeypatch.setattr(pickle, "load", explode)
    monkeypatch.setattr(pickle, "loads", explode)
    load_potential(saved)
    pickled = npy(np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(rebuilt(tmp_path / "x.lode", {**members(saved), "weights.npy": pickled}))


@pytest.mark.parametrize("failing", ["replace", "chmod"])
def test_a_failed_save_leaves_the_old_file(saved, monkeypatch, failing):
    before = saved.read_bytes()

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="disk full"):
        potential("charges").save(saved)
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_save_interrupted_while_writing_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "writestr", interrupt)
    with pytest.raises(KeyboardInterrupt):
        potential("charges").save(saved)
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_new_save_replaces_the_old_file(saved):
    potential("charges").save(saved)
    assert load_potential(saved).name == "synthetic charges"
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    assert saved.stat().st_mode & 0o777 == 0o644
