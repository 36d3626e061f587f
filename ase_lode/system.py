"""A structure as frozen arrays; `System.from_atoms` is the only door for ASE's Atoms."""

from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols as CHEMICAL_SYMBOLS  # index: atomic number

from ase_lode.errors import StructureError

#: A cell whose smallest height is below this fraction of its longest vector is singular for every purpose here.
SINGULAR = 1e-6
#: Largest coordinate and cell vector in Å: a millimetre, where double precision leaves 1e-9 Å.
LARGEST = 1e7


@dataclass(frozen=True)
class System:
    """One structure.

    Attributes
    ----------
    numbers : array of int, shape (atoms,)
        Atomic numbers.
    positions : array, shape (atoms, 3)
        Positions in Å, never wrapped.
    cell : array, shape (3, 3)
        Cell vectors as rows in Å; those along non-periodic directions are replaced by unit vectors normal to the
        periodic ones and to each other, so that no result depends on what stood there.
    pbc : array of bool, shape (3,)
        Periodic directions.
    charge : float
        Total charge in e.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    charge: float = 0.0

    def __len__(self):
        return len(self.numbers)

    @property
    def measure(self):
        """Volume, area or length of the periodic cell in Å³, Å² or Å; 1 for an isolated system."""
        return abs(np.linalg.det(self.cell))

    @property
    def extents(self):
        """Extents of the atoms along the non-periodic directions, shape (non-periodic directions,), in Å."""
        return np.ptp(self.positions @ self.cell[~self.pbc].T, axis=0)

    def species(self, elements):
        """Index of each atom's element in a list of chemical symbols, shape (atoms,).

        Raises
        ------
        StructureError
            Elements that the list lacks.
        """
        known = {CHEMICAL_SYMBOLS.index(element): index for index, element in enumerate(elements)}
        unknown = sorted({CHEMICAL_SYMBOLS[z] for z in self.numbers if z not in known})
        if unknown:
            raise StructureError(f"Elements {', '.join(unknown)} are not in the model, which knows "
                                 f"{', '.join(elements)}; use a potential trained on them.")
        return np.array([known[z] for z in self.numbers])

    @classmethod
    def from_atoms(cls, atoms, charge=None):
        """Read and check a structure.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure; `atoms.info["charge"]` is the total charge unless `charge` is given.
        charge : float, optional
            Total charge in e.

        Raises
        ------
        StructureError
            No atoms, positions, cell or charge that are not finite, positions or periodic vectors beyond `LARGEST`, or
            a singular cell along the periodic directions.
        """
        if len(atoms) == 0:
            raise StructureError("The structure has no atoms; give at least one.")
        positions = np.array(atoms.get_positions(), dtype=float)
        if not np.isfinite(positions).all():
            row = int(np.argmax(~np.isfinite(positions).all(axis=1)))
            raise StructureError(f"Positions are not finite (first at atom {row}); check the structure's source.")
        if abs(positions).max() > LARGEST:
            row = int(np.argmax(abs(positions).max(axis=1)))
            raise StructureError(f"Atom {row} is more than {LARGEST:.0e} Å from the origin; move the structure there, "
                                 "and remove atoms that have left it.")
        pbc = np.array(atoms.pbc, dtype=bool)
        charge = _number(atoms.info.get("charge", 0.0) if charge is None else charge)
        return cls(atoms.get_atomic_numbers().astype(np.int64), positions,
                   standard_cell(np.array(atoms.cell.array, dtype=float), pbc), pbc, charge)


def _number(charge):
    try:
        value = float(charge)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise StructureError(f"The total charge {charge!r} is not a finite number; set atoms.info[\"charge\"] in e, or "
                             "remove it for a neutral system.")
    return value


def standard_cell(cell, pbc):
    """Cell with unit vectors normal to the periodic directions in place of the non-periodic ones.

    Raises
    ------
    StructureError
        Periodic vectors that are not finite, longer than `LARGEST`, zero or linearly dependent.
    """
    periodic = cell[pbc]
    if not np.isfinite(periodic).all():
        raise StructureError("The cell is not finite; check the structure's source.")
    if abs(periodic).max(initial=0.0) > LARGEST:
        raise StructureError(f"The cell has a periodic vector of more than {LARGEST:.0e} Å; set atoms.pbc = False "
                             "along directions of vacuum.")
    if len(periodic):
        lengths = np.linalg.norm(periodic, axis=1)
        singular = np.linalg.svd(periodic, compute_uv=False)[-1]
        if lengths.min() == 0 or singular < SINGULAR * lengths.max():
            raise StructureError("The cell is zero or singular along a periodic direction; set atoms.cell, or "
                                 "atoms.pbc = False for an isolated system.")
    if pbc.all():
        return cell
    result = cell.copy()
    result[~pbc] = _normals(periodic)
    return result


def _normals(periodic):
    """Unit vectors normal to the periodic ones and to each other, shape (free directions, 3).

    They turn smoothly with the periodic ones, for a wire up to where another Cartesian axis becomes its nearest.
    """
    if len(periodic) == 0:
        return np.eye(3)
    if len(periodic) == 2:
        normal = np.cross(*periodic)
        return normal / np.linalg.norm(normal)
    # The smallest rotation that takes the nearest Cartesian axis to the wire takes the other two to the normals.
    axis, nearest = _wire(periodic)
    halfway = axis + np.eye(3)[nearest]
    return np.delete(np.eye(3) - np.outer(axis, halfway) / (1 + axis[nearest]), nearest, axis=0)


def _wire(periodic):
    """Direction of a wire, and the number of its nearest Cartesian axis, along which it points."""
    axis = periodic[0] / np.linalg.norm(periodic[0])
    nearest = int(np.argmax(np.abs(axis)))
    return axis * np.sign(axis[nearest]), nearest


def wire_twist(periodic):
    """How the normals of a wire turn about it when it is strained.

    Parameters
    ----------
    periodic : array, shape (1, 3)

    Returns
    -------
    wire : array, shape (3,)
        Unit vector.
    twist : array, shape (3, 3)
        Angle about it per strain, r_a → r_a + ε_ab r_b: (u × e)_a u_b/(1 + e·u), e the nearest Cartesian axis.
    """
    wire, nearest = _wire(periodic)
    return wire, np.outer(np.cross(wire, np.eye(3)[nearest]), wire) / (1 + wire[nearest])
