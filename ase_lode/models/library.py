"""Potentials by name: those shipped with the package, wherever it is installed."""

from pathlib import Path

from ase_lode.errors import PotentialFileError
from ase_lode.models import file
from ase_lode.models.potential import Potential

#: In a wheel the potentials lie inside the package, in a checkout beside it.
_PACKAGE = Path(__file__).resolve().parent.parent
FOLDERS = (_PACKAGE / "shipped_potentials", _PACKAGE.parent / "potentials")


def find(name):
    """Path of a potential given by name or path.

    Raises
    ------
    PotentialFileError
        Neither a shipped name nor a file.
    """
    for folder in FOLDERS:
        path = folder / str(name) / f"{name}.lode"
        if path.is_file():
            return path
    path = Path(name)
    if path.is_file():
        return path
    names = ", ".join(sorted(_shipped())) or "none"
    raise PotentialFileError(f"There is no potential '{name}': give the path of a .lode file or a shipped name "
                             f"({names}).")


def load_potential(potential):
    """Load a potential.

    Parameters
    ----------
    potential : str, path-like or Potential
        A shipped name, the path of a file, or a potential, which is passed through.

    Raises
    ------
    PotentialFileError
        Not found, damaged or of another version.
    """
    return potential if isinstance(potential, Potential) else Potential.load(find(potential))


def list_potentials():
    """The shipped potentials.

    Returns
    -------
    list of dict
        name, elements, level_of_theory, licence, errors, size (bytes), sha256 and path of each.
    """
    rows = []
    for name, path in sorted(_shipped().items()):
        header, _, checksum = file.read(path)
        rows.append({"name": name, "elements": header["model"]["elements"],
                     "level_of_theory": header.get("level_of_theory", ""), "licence": header.get("licence", ""),
                     "errors": header.get("errors", {}), "size": path.stat().st_size, "sha256": checksum,
                     "path": str(path)})
    return rows


def verify(potential):
    """Check a potential file completely and return its header; raises PotentialFileError if anything is wrong."""
    loaded = load_potential(potential)
    return {**loaded.header, "sha256": loaded.sha256}


def _shipped():
    found = {}
    for folder in FOLDERS:
        for path in folder.glob("*/*.lode") if folder.is_dir() else ():
            if path.stem == path.parent.name:
                found.setdefault(path.stem, path)
    return found
