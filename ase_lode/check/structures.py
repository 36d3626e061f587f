"""What calculators are checked on: the given structures, slightly shaken, or small ones of elements they know."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.io import read

from ase_lode.check.subject import rms
from ase_lode.errors import ConfigError

#: Å by which given structures are shaken: at a minimum or in a symmetric crystal wrong forces can hide.
SHAKE = 0.03
#: Elements to try on a calculator that does not list its own.
TRIED = (("Cu", "Al"), ("H", "O"), ("Ar",), ("Si",), ("C", "H"), ("Na", "Cl"))
#: Share of the usual distances: toy potentials have lengths of their own.
SCALES = (1.0, 0.85, 0.7, 0.55, 0.4)
#: Root-mean-square forces in eV/Å on which checks mean something.
TELLING = (0.05, 50.0)
CELL = np.array([[1.0, 0.0, 0.0], [0.15, 1.0, 0.0], [-0.1, 0.12, 1.0]])


def read_all(files):
    """Every frame of files that ASE reads, named after its file."""
    structures = []
    for file in files:
        frames = read(file, **({} if "@" in str(file) else {"index": ":"}))
        frames = frames if isinstance(frames, list) else [frames]
        for number, atoms in enumerate(frames):
            atoms.info["name"] = Path(file).name + (f"@{number}" if len(frames) > 1 else "")
        structures += frames
    return structures


def shaken(structures):
    """Copies without constraints, every atom moved a little."""
    copies = []
    for atoms in structures:
        atoms = atoms.copy()
        atoms.set_constraint()
        atoms.rattle(SHAKE, seed=11)
        copies.append(atoms)
    return copies


def defaults(subject):
    """Structures for a calculator that none were given for.

    Raises
    ------
    ConfigError
        No elements were found that it accepts.
    """
    if subject.own:
        return built(subject.calc.potential.elements)
    accepted = []
    for elements in TRIED:
        for scale in SCALES:
            structures = built(elements, scale)
            size = _size(subject, structures)
            if TELLING[0] < size < TELLING[1]:
                return structures
            if np.isfinite(size):
                accepted.append(structures)
    if not accepted:
        raise ConfigError("The calculator took none of the structures tried; give some of its own.")
    return accepted[0]


def _size(subject, structures):
    """Root-mean-square force of the first structure the calculator accepts, or infinity."""
    for atoms in structures:
        try:
            energy, forces = subject.results(atoms)
            return rms(forces) + 0 * energy
        except Exception:  # noqa: BLE001  whatever a foreign calculator raises means no
            continue
    return np.inf


def built(elements, scale=1.0):
    """A triclinic crystal, a slab, a wire and a molecule of eight atoms, of the first eight elements.

    Parameters
    ----------
    elements : sequence of str
    scale : float
        Share of the usual distances between atoms.
    """
    numbers = np.resize([atomic_numbers[element] for element in list(elements)[:8]], 8)
    spacing = 2.2 * scale * covalent_radii[numbers].max()
    rng = np.random.default_rng(5)
    cell = 2 * spacing * CELL
    points = np.array(list(np.ndindex(2, 2, 2)))[rng.permutation(8)]
    positions = (points + 0.25) / 2 @ cell + 0.06 * spacing * rng.normal(size=(8, 3))
    structures = []
    for name, pbc in {"bulk": (1, 1, 1), "slab": (1, 1, 0), "wire": (1, 0, 0), "molecule": (0, 0, 0)}.items():
        atoms = Atoms(numbers, positions, cell=cell, pbc=pbc, info={"name": name})
        for axis in np.flatnonzero(np.logical_not(pbc)):
            atoms.cell[axis] *= 4
        if name == "molecule":
            atoms.cell = None
        structures.append(atoms)
    return structures


def label(atoms):
    """Name of a structure in a table."""
    pbc = "".join("FT"[int(direction)] for direction in atoms.pbc)
    return f"{atoms.info.get('name', '')} {atoms.get_chemical_formula()} {pbc}".strip()
