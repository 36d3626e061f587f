"""Structures with labels from files that ASE reads: the only place where training meets a file's keys and units."""

import difflib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from ase.data import covalent_radii as COVALENT_RADII  # noqa: F401  Å, index: atomic number
from ase.data import vdw_radii as VDW_RADII  # noqa: F401  Å, NaN where unknown
from ase.outputs import all_outputs

from ase_lode.errors import DataError, LODEError
from ase_lode.system import System
from ase_lode.training.targets import expected, response_labels

#: eV per unit and Å per unit (CODATA 2018).
ENERGY_UNITS = {"eV": 1.0, "meV": 1e-3, "hartree": 27.211386245988, "rydberg": 13.605693122994,
                "kcal/mol": 0.043364115308770, "kJ/mol": 0.010364269656262}
LENGTH_UNITS = {"angstrom": 1.0, "bohr": 0.529177210903, "nm": 10.0}
#: Label, its plural in messages, and the shape it must have.
LABELS = {"energy": ("energies", lambda n: (1,)), "forces": ("forces", lambda n: (n, 3)),
          "stress": ("stresses", lambda n: (6,)), "virial": ("virials", lambda n: (9,)),
          "dipole": ("dipoles", lambda n: (3,)), "charges": ("charges", lambda n: (n,))}
VOIGT = (0, 4, 8, 5, 2, 1)
#: A tensor this far from symmetric, relative to its largest number, is not a stress.
ASYMMETRY = 1e-2


@dataclass(frozen=True)
class Structure:
    """One structure and its labels; a label that was not asked for is None.

    Attributes
    ----------
    system : System
        The structure; its cell is ignored when the file holds a zero cell, which means an isolated molecule.
    energy : float
        In eV.
    forces : array, shape (atoms, 3)
        In eV/Å, without constraints.
    stress : array, shape (6,)
        xx yy zz yz xz xy in eV/Å³, tension positive; None unless periodic in all directions.
    dipole : array, shape (3,)
        In e·Å.
    charges : array, shape (atoms,)
        Reference charges in e.
    response : dict of array
        Labels of the response by target, in e·Å, Å³, 1 and e.
    config_type, group : str
        Class of the structure in reports; group that a split keeps together.
    """

    system: System
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    dipole: np.ndarray | None = None
    charges: np.ndarray | None = None
    config_type: str = "all"
    group: str | None = None
    response: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.system)

    @property
    def formula(self):
        """Sorted atomic numbers and their counts: equal for equal compositions."""
        numbers, counts = np.unique(self.system.numbers, return_counts=True)
        return tuple(zip(numbers.tolist(), counts.tolist()))


def find_file(name, folder=".", data_folder=None):
    """Path of a data file named in a configuration.

    Looked for in turn: beside the configuration, in `data_folder`, in the folder ``ASE_LODE_DATA``; in the last two
    also in their direct subfolders, and from their parent when `name` starts with the folder's own name.

    Raises
    ------
    DataError
        The file does not exist, or several subfolders hold one of this name.
    """
    name = Path(name).expanduser()
    if (Path(folder) / name).is_file():
        return Path(folder) / name
    roots = [Path(root).expanduser() for root in (data_folder, os.environ.get("ASE_LODE_DATA")) if root]
    for root in [] if name.is_absolute() else roots:
        nearest = [root / name] + ([root.parent / name] if name.parts[0] == root.resolve().name else [])
        found = [path for path in nearest if path.is_file()] or sorted(root.glob(f"*/{name}"))
        if len({str(path) for path in found}) > 1 and found[0] not in nearest:
            raise DataError(f"Several folders hold '{name}': {', '.join(map(str, found))}; name the folder too.")
        if found:
            return found[0]
    places = ", ".join([str(folder), *map(str, roots)])
    raise DataError(f"Data file '{name}' not found in {places}; correct data.train.file, or name the folder that "
                    "holds it with --data or ASE_LODE_DATA.")


def read_atoms(path) -> Iterator:
    """Every ASE Atoms of a file (extended xyz, traj, db, and whatever else ASE reads), one by one.

    Raises
    ------
    DataError
        The file is missing, empty or cannot be read.
    """
    import ase.io

    path = Path(path)
    if not path.is_file():
        raise DataError(f"Data file '{path}' does not exist.")
    count, file = 0, path
    try:
        with _unpacked(path) as file:
            for atoms in _database_rows(file) if file.suffix == ".db" else ase.io.iread(file, index=":"):
                yield atoms
                count += 1
    except LODEError:
        raise
    except Exception as error:  # ASE's readers raise whatever a damaged file provokes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        reason = reason.replace(str(file), path.name)  # not the unpacked copy, which is gone
        raise DataError(f"Cannot read structure {count} of {path}: {reason}.") from None
    if count == 0:
        raise DataError(f"{path} holds no structures.")


@contextmanager
def _unpacked(path):
    """The file, or an unpacked copy: readers seek, and seeking back in a packed file unpacks it from its start."""
    from ase.io.formats import get_compression, open_with_compression

    name, compression = get_compression(path.name)
    if compression is None:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        with open_with_compression(str(path), "rb") as source, open(copy, "wb") as target:
            shutil.copyfileobj(source, target)
        yield copy


def _database_rows(path):
    import ase.db

    for row in ase.db.connect(path).select():
        atoms = row.toatoms()
        atoms.info.update(row.key_value_pairs)
        atoms.info.update(row.data)
        yield atoms


def per_atom_keys(atoms):
    """Keys of what belongs to atoms by where it stands, since its size may be that of a vector or a tensor."""
    results = {} if atoms.calc is None else atoms.calc.results
    return frozenset(atoms.arrays) | {key for key in results if key in all_outputs and
                                      "natoms" in all_outputs[key].shapespec}


def labels_of(atoms):
    """Everything a file says about a structure, by key: results that ASE moved to a calculator, info, arrays."""
    results = {} if atoms.calc is None else {k: v for k, v in atoms.calc.results.items() if v is not None}
    arrays = {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    return {**arrays, **atoms.info, **results}


def read_structures(config, units, *, folder=".", data_folder=None, group_by=None, progress=None, targets=None):
    """Structures of one section of the configuration, every requested label present.

    Parameters
    ----------
    config : FileConfig
        Files and keys; a key that is None leaves its label out.
    units : UnitsConfig
        Units of the labels. Positions and cells are in Å, as ASE reads them.
    folder, data_folder : path
        Where to look for the files, see `find_file`.
    group_by : str, optional
        Info key to remember as each structure's group.
    progress : Progress, optional
        Where to report.
    targets : dict of TargetConfig, optional
        Responses to read, see `ase_lode.training.targets`.

    Returns
    -------
    structures : list of Structure
    paths : list of Path

    Raises
    ------
    DataError
        A file is missing or damaged; a requested label is missing (with counts and the nearest key), has the wrong
        shape or is not finite.
    """
    names = [config.file] if isinstance(config.file, str) else config.file
    paths = [find_file(name, folder, data_folder) for name in names]
    keys = {label: getattr(config, label) for label in LABELS if getattr(config, label) is not None}
    structures, present, known, targets = [], dict.fromkeys(keys, 0), {}, targets or {}
    responses = {name: [0, 0] for name in targets}  # structures that should have the label, and that have it
    for path in paths:
        items = read_atoms(path)
        for index, atoms in enumerate(progress.track(items, f"reading {path.name}") if progress else items):
            found = labels_of(atoms)
            for key, value in found.items():
                known.setdefault(key, _suits(value, len(atoms)))
            values = {label: _number(found[key], label, key, len(atoms), f"structure {index} of {path}")
                      for label, key in keys.items() if key in found}
            for label in values:
                present[label] += 1
            structure = _structure(atoms, found, values, units, config, group_by)
            labels = response_labels(found, structure.system, atoms.get_masses(), targets,
                                     f"structure {index} of {path}")
            dipole = labels.get("dipole") if structure.dipole is None else structure.dipole
            structure = replace(structure, response=labels, dipole=dipole)
            for name, target in targets.items():
                responses[name][0] += expected(name, target, structure.system)
                responses[name][1] += name in structure.response
            structures.append(structure)
    where = ", ".join(path.name for path in paths)
    _refuse_missing(present, keys, known, len(structures), where)
    _refuse_missing_responses(responses, targets, known, where)
    if group_by is not None and any(s.group is None for s in structures):
        raise DataError(f"group_by: not every structure has the info key '{group_by}'; its keys are "
                        f"{', '.join(sorted(map(str, known)))}.")
    return structures, paths


def _structure(atoms, found, values, units, config, group_by):
    eV, length = ENERGY_UNITS[units.energy], LENGTH_UNITS[units.length]
    if config.isolated or not atoms.cell.array.any():
        atoms.pbc = False
    system = System.from_atoms(atoms)
    stress = values.get("stress")
    stress = None if stress is None else stress * eV / length**3
    if "virial" in values:
        stress = -values["virial"] * eV / system.measure
    group = found.get(group_by) if group_by else None
    return Structure(
        system, energy=float(values["energy"][0] * eV) if "energy" in values else None,
        forces=values["forces"] * eV / length if "forces" in values else None,
        stress=stress if system.pbc.all() else None,
        dipole=values["dipole"] * length if "dipole" in values else None, charges=values.get("charges"),
        config_type=str(found.get(config.config_type, "all")), group=None if group is None else str(group))


def _number(value, label, key, n, where):
    """The label as a finite float array of its shape; tensors of 9 numbers become Voigt."""
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"'{key}' of {where} is not a number; name another key for {label}.") from None
    shape = LABELS[label][1](n)
    if label in ("stress", "virial") and array.size == 9:
        array = _voigt(array.reshape(9), key, where)
        shape = (6,)
    if array.size != np.prod(shape):
        raise DataError(f"'{key}' of {where} has shape {array.shape}, but {label} needs {shape}; name another key.")
    if not np.isfinite(array).all():
        raise DataError(f"'{key}' of {where} is not finite; remove the structure or correct it.")
    return array.reshape(shape)


def _voigt(array, key, where):
    tensor = array.reshape(3, 3)
    if abs(tensor - tensor.T).max() > ASYMMETRY * abs(tensor).max():
        raise DataError(f"'{key}' of {where} is not symmetric, so it is no stress or virial; name another key.")
    return ((tensor + tensor.T) / 2).reshape(9)[list(VOIGT)]


def _suits(value, n):
    """Labels that a value could be, judged by its size."""
    try:
        size = np.asarray(value, dtype=float).size
    except (TypeError, ValueError):
        return set()
    return {label for label, (_, shape) in LABELS.items() if size == np.prod(shape(n))} | (
        {"stress"} if size == 9 else set())


def _refuse_missing(present, keys, known, total, where):
    if all(count == total for count in present.values()):
        return
    counts = ", ".join(f"{LABELS[label][0]} {count}/{total}" for label, count in present.items())
    hints = []
    for label, count in present.items():
        if count == total:
            continue
        able = sorted(str(key) for key, labels in known.items() if label in labels and key != keys[label])
        near = difflib.get_close_matches(keys[label], able, n=1, cutoff=0.4) or able[:1]
        hints.append(f"set '{label}' to " + (f"'{near[0]}' (nearest to '{keys[label]}') or null" if near else "null"))
    raise DataError(f"{where}: {counts}. In its section of the configuration {'; '.join(hints)}, or complete the file.")


def _refuse_missing_responses(counts, targets, known, where):
    for name, (needed, found) in counts.items():
        if found < needed:
            keys = ", ".join(sorted(map(str, known))) or "none"
            raise DataError(f"{where}: {name} {found}/{needed} under '{targets[name].key}'; its keys are {keys}. "
                            f"Correct targets.{name}.key, or its systems, or remove the target.")


def refuse_undefined(structures, targets):
    """Refuse targets to train that none of the structures can have.

    Raises
    ------
    DataError
        Such a target.
    """
    for name, target in targets.items():
        if not any(expected(name, target, structure.system) for structure in structures):
            kind = "periodic" if name == "dielectric_tensor" else target.systems
            raise DataError(f"No training structure is {kind}, so none can have the target {name}; remove it, or "
                            "correct its systems, data.train.isolated or the cells.")


def split(structures, validation, seed):
    """Indices of training and validation structures.

    Parameters
    ----------
    structures : list of Structure
        All structures of the training files.
    validation : ValidationConfig
        `fraction`, `group_by` or `blocks`; otherwise nothing validates.
    seed : int
        Of the draw.

    Returns
    -------
    train, held : arrays of int
        In increasing order.

    Raises
    ------
    DataError
        A single group, or fewer structures than blocks.
    """
    n, rng = len(structures), np.random.default_rng(seed)
    held = np.zeros(n, dtype=bool)
    if validation.fraction is not None:
        held[rng.permutation(n)[:min(round(validation.fraction * n), n - 1)]] = True
    elif validation.group_by is not None:
        groups, member = np.unique([s.group for s in structures], return_inverse=True)
        if len(groups) < 2:
            raise DataError(f"group_by: all structures have the same '{validation.group_by}'; split by blocks instead.")
        held = np.isin(member, rng.permutation(len(groups))[:_tenth(len(groups))])
    elif validation.blocks is not None:
        if validation.blocks > n:
            raise DataError(f"blocks: {validation.blocks} exceeds the number of structures, {n}.")
        member = np.arange(n) * validation.blocks // n
        held = np.isin(member, rng.permutation(validation.blocks)[:_tenth(validation.blocks)])
    return np.flatnonzero(~held), np.flatnonzero(held)


def _tenth(number):
    return max(1, round(number / 10))


def sha256(paths):
    """Hash of each file by name."""
    return {path.name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}
