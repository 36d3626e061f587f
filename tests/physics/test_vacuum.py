"""Slabs, wires and molecules are the limits of boxes with ever more vacuum, for strengths that sum to zero or p > 3."""

from math import prod

import numpy as np
import pytest
from ase import Atoms
from synthetic import CELL, ELEMENTS, molecule, potential, scatter

from ase_lode import LODECalculator
from ase_lode.features.exterior import ExteriorField
from ase_lode.hypers import FieldConfig
from ase_lode.neighbors import NeighborList
from ase_lode.system import System

#: Box lengths and the powers of 1/L in which the energy of a quadratic model approaches its limit for p = 1. A slab's
#: images act through its dipole alone, as a uniform field of 4π M/Ω, so the polynomial is exact; on a wire or a
#: molecule they act through the harmonics that the square or cubic lattice allows.
APPROACH = {"slab": ([24, 32, 44], [0, 1, 2]),
            "wire": ([24, 28, 33, 40, 48], [0, 2, 4, 6, 8]),
            "molecule": ([17, 20, 24, 28, 33], [0, 3, 5, 6, 7])}
PERIODIC = {"slab": (True, True, False), "wire": (True, False, False), "molecule": (False, False, False)}


def structure(kind):
    if kind == "molecule":
        return molecule()
    return Atoms("HCOHHCOH", positions=scatter(8, 1.3, CELL, True, 2), cell=CELL, pbc=PERIODIC[kind])


def boxed(atoms, length):
    """The same atoms in a fully periodic cell, its other vectors of this length and normal to the periodic ones."""
    box = atoms.copy()
    periodic = CELL[: int(atoms.pbc.sum())]
    normals = np.linalg.svd(periodic)[2][len(periodic):] if len(periodic) else np.eye(3)
    box.cell, box.pbc = np.vstack([periodic, length * normals]), True
    return box


def extrapolate(lengths, values, powers):
    """The constant in a sum of powers of 1/L."""
    terms = np.array([[(lengths[0] / length) ** power for power in powers] for length in lengths])
    return np.tensordot(np.linalg.pinv(terms)[0], np.array(values), 1)


@pytest.mark.parametrize("kind", APPROACH)
def test_energy_is_the_limit_of_growing_vacuum(kind):
    atoms = structure(kind)
    calc = LODECalculator(potential("charges", cutoff=5.0), tolerance=2e-6, on_extrapolation="ignore", n_threads=1)
    expected = calc.get_potential_energy(atoms) / len(atoms)
    lengths, powers = APPROACH[kind]
    energies = [calc.get_potential_energy(boxed(atoms, length)) / len(atoms) for length in lengths]
    assert abs(energies[-1] - expected) > 1e-4
    assert extrapolate(lengths, energies, powers) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", APPROACH)
@pytest.mark.parametrize("exponent", [4, 5, 6])
def test_fields_of_short_range_are_limits_for_any_strengths(exponent, kind):
    """The images of a slab, wire or molecule act as 1/L^(p - periodic directions) and every second power above."""
    config = FieldConfig(exponent=exponent, max_angular=1, cutoff=6.0, cutoff_width=3.0, sources="elements")
    field, atoms = ExteriorField(config, ELEMENTS, 1e-6), structure(kind)
    species = np.array([ELEMENTS.index(symbol) for symbol in atoms.symbols])

    def values(atoms):
        return field.compute(System.from_atoms(atoms), species, NeighborList(field.reach), 1)[0]

    first = exponent - int(atoms.pbc.sum())
    lengths, expected = [18, 22, 27, 33, 40][: 4 if kind == "molecule" else 5], values(atoms)
    powers = [0] + [first + 2 * n for n in range(len(lengths) - 1)]
    found = extrapolate(lengths, [values(boxed(atoms, length)) for length in lengths], powers)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * abs(expected).max())


@pytest.mark.parametrize("tolerance, length", [(1e-5, 200), (1e-5, 500), (1e-9, 100)])
@pytest.mark.parametrize("n_atoms", [2, 20])
def test_molecules_in_vast_periodic_boxes_take_moderate_meshes(n_atoms, tolerance, length):
    """Half a gigabyte at most: long reaches over few pairs make meshes of vacuum coarse."""
    config = FieldConfig(exponent=1, max_angular=2, cutoff=4.0, cutoff_width=2.0, sources="elements")
    atoms = molecule(n_atoms)
    atoms.cell, atoms.pbc = length * np.eye(3), True
    system = System.from_atoms(atoms)
    assert prod(ExteriorField(config, ELEMENTS, tolerance).split(system).mesh.grid(system).shape) < 2e7
