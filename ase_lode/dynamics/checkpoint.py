"""Checkpoints: everything that decides the future of a run, exactly, in one file that is written atomically."""

import os
import zipfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.constraints import dict2constraint
from ase.io.jsonio import decode, encode

from ase_lode.errors import LODEError, SimulationError

FORMAT = "ase-lode md checkpoint 3"
#: Keywords of LODECalculator that decide its results.
KEYWORDS = ("skin", "charge", "uncertainty", "on_extrapolation", "tolerance")


def write_checkpoint(path, atoms, header, state):
    """Write a checkpoint; a crash leaves the previous one.

    Parameters
    ----------
    path : path-like
        File to write (.npz).
    atoms : ase.Atoms
        The structure; every array, constraint and info entry that JSON can hold is kept.
    header : dict
        What else to keep, as JSON (NumPy arrays are exact).
    state : dict of str to array
        The integrator's state.
    """
    path = Path(path)
    text = encode({"format": FORMAT, "constraints": [constraint.todict() for constraint in atoms.constraints],
                   "info": _plain(atoms.info), **header})
    arrays = {f"atoms/{name}": array for name, array in atoms.arrays.items() if array.dtype != object}
    arrays |= {f"state/{name}": np.asarray(value) for name, value in state.items()}
    temporary = path.with_name(f".{path.name}")  # what a kill leaves of it, the next one overwrites
    try:
        with open(temporary, "wb") as file:
            np.savez(file, header=np.array(text), cell=atoms.cell.array, pbc=atoms.pbc, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path):
    """Read a checkpoint.

    Returns
    -------
    atoms : ase.Atoms
        The structure, without calculator.
    header : dict
        What was kept besides.
    state : dict of str to array
        The integrator's state.

    Raises
    ------
    SimulationError
        The file is damaged or not a checkpoint.
    """
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            stored = {name: file[name] for name in file.files}
        header = decode(str(stored["header"]))
        if header["format"] != FORMAT:
            raise ValueError("unknown format")
        atoms = _atoms(stored, header)
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, AttributeError,
            NotImplementedError, RuntimeError, zipfile.zlib.error) as error:
        reason = str(error).split(". ")[0].rstrip(".")
        raise SimulationError(f"'{path}' is damaged or not a checkpoint of this program ({reason}); "
                              "start again from the last frame of the trajectory.") from error
    state = {name.removeprefix("state/"): value for name, value in stored.items() if name.startswith("state/")}
    return atoms, header, state


def _atoms(stored, header):
    atoms = Atoms(numbers=stored["atoms/numbers"], cell=stored["cell"], pbc=stored["pbc"], info=header["info"])
    for name, value in stored.items():
        if name.startswith("atoms/"):
            atoms.arrays[name.removeprefix("atoms/")] = value
    atoms.set_constraint([dict2constraint(entry) for entry in header["constraints"]])
    return atoms


def _plain(info):
    """The entries of `atoms.info` that JSON can hold."""
    kept = {}
    for name, value in info.items():
        try:
            encode({name: value})
        except (TypeError, ValueError):
            continue
        kept[name] = value
    return kept


def identify(calc):
    """What is needed to find a calculator again: its class, and for a potential its name, hash, file and keywords."""
    potential = getattr(calc, "potential", None)
    path = getattr(potential, "path", None)
    return {"class": type(calc).__name__, "potential": getattr(potential, "name", None),
            "sha256": getattr(potential, "sha256", None), "path": None if path is None else str(path),
            "keywords": {name: value for name in KEYWORDS if (value := getattr(calc, f"_{name}", None)) is not None},
            "state": calc.get_state() if hasattr(calc, "get_state") else None}


def find_calculator(identity, calc=None):
    """The calculator of a checkpoint: the given one, or the potential found by name or file and checked by its hash.

    Raises
    ------
    SimulationError
        None can be found, or it is another potential.
    """
    if calc is None:
        calc = _load(identity)
    found = getattr(getattr(calc, "potential", None), "sha256", None)
    if identity["sha256"] and found != identity["sha256"]:
        raise SimulationError(f"The checkpoint was written with potential '{identity['potential']}', SHA-256 "
                              f"{identity['sha256'][:12]}, but this is another one; pass the same potential as calc= "
                              "(-p).")
    return calc


def _load(identity):
    for name in (identity["path"], identity["potential"]):
        if name is None:
            continue
        from ase_lode.calculator import LODECalculator
        from ase_lode.models.library import load_potential

        try:
            potential = load_potential(name)
        except (LODEError, OSError):
            continue
        if potential.sha256 == identity["sha256"]:
            return LODECalculator(potential, **identity["keywords"])
    raise SimulationError(f"The calculator of the checkpoint ({identity['potential'] or identity['class']}) cannot be "
                          "found by its name and hash; pass it as calc= (on the command line with -p).")
