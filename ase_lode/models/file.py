"""The potential file: arrays and a JSON header in one uncompressed zip archive with a checksum, no pickle."""

import hashlib
import io
import json
import math
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from ase_lode.errors import PotentialFileError

#: Version of the format, and of files with a response model; files of another version are refused.
SCHEMA, RESPONSE_SCHEMA = 1, 2
HEADER = "header.json"
CHECKSUM = "sha256"
ARRAYS = {"weights", "posterior", "lower", "upper"}
#: Arrays of the response model begin with this.
RESPONSE = "response_"


def write(path, header, arrays):
    """Write a potential file in one step: a reader finds the old file or the new one, never a part.

    Parameters
    ----------
    path : path-like
    header : dict
        JSON-able.
    arrays : dict of arrays
        Names from `ARRAYS`, or beginning with `RESPONSE`.
    """
    path = Path(path)
    members = {HEADER: json.dumps({**header, "schema": _schema(arrays)}, indent=1, sort_keys=True).encode()}
    for name, array in sorted(arrays.items()):
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
        members[f"{name}.npy"] = stream.getvalue()
    members[CHECKSUM] = _digest(members).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name), data)  # ZipInfo's fixed date: same potential, same bytes
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read(path):
    """Header, arrays and checksum of a potential file.

    Raises
    ------
    PotentialFileError
        The file is missing, truncated or altered, of another version, or no potential.
    """
    path = Path(path)
    if not path.is_file():
        raise PotentialFileError(f"There is no potential file {path}; `ase-lode potentials` lists the shipped ones.")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                raise ValueError("compressed members")
            members = {name: archive.read(name) for name in archive.namelist()}
        checksum = members.pop(CHECKSUM).decode()
        header = json.loads(members[HEADER])
        if not isinstance(header, dict) or "schema" not in header:
            raise ValueError("no schema in the header")
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise PotentialFileError(f"{path} is damaged or not a potential file ({error}); get it again or retrain.") \
            from None
    if header["schema"] != _schema(members):
        raise PotentialFileError(f"{path} has schema {header['schema']}, this version reads {SCHEMA} and, with a "
                                 f"response model, {RESPONSE_SCHEMA}; update ase_lode.")
    if checksum != _digest(members):
        raise PotentialFileError(f"{path} is damaged: its SHA-256 does not match; get it again or retrain.")
    arrays = {}
    for name, data in members.items():
        if name != HEADER:
            arrays[name.removesuffix(".npy")] = _array(path, name, data)
    return header, arrays, checksum


def _schema(names):
    return RESPONSE_SCHEMA if any(name.startswith(RESPONSE) for name in names) else SCHEMA


def _array(path, name, data):
    """One array, refused before anything is allocated when its shape does not fit its bytes."""
    if name.removesuffix(".npy") not in ARRAYS and not name.startswith(RESPONSE):
        raise PotentialFileError(f"{path} holds an unknown array '{name}'; get it again or update ase_lode.")
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("unknown array format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.kind != "f" or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
            raise ValueError("shape and size differ")
        array = np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")
    except (ValueError, OverflowError) as error:
        raise PotentialFileError(f"{path}: array '{name}' is damaged ({error}); get it again or retrain.") from None
    if not np.isfinite(array).all():
        raise PotentialFileError(f"{path}: array '{name}' has values that are not finite; retrain the potential.")
    return array


def _digest(members):
    hashed = hashlib.sha256()
    for name, data in sorted(members.items()):
        hashed.update(f"{name}:{len(data)}:".encode())
        hashed.update(data)
    return hashed.hexdigest()
