"""Exterior fields against brute-force sums, and everything that must not matter to them."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from physics.lattice import exterior_bulk, exterior_partial, interior, pair_sum, point_kernel

from ase_lode import expansions

ELEMENTS = ["Na", "Cl", "O", "H"]
CHARGES = [1.0, -1.0, -0.8, 0.8]
CUTOFF, WIDTH, L_MAX = 4.8, 2.4, 3
#: Triclinic, and smaller than the cutoff in every direction.
CELL = np.array([[4.1, 0.0, 0.0], [1.1, 3.7, 0.0], [-0.8, 0.9, 4.4]])
PATTERNS = list(itertools.product([True, False], repeat=3))


def structure(pbc=True):
    scaled = np.random.default_rng(0).random((4, 3))
    return Atoms(ELEMENTS, scaled_positions=scaled, cell=CELL, pbc=pbc)


def fields(atoms, *settings):
    """V of every field, arrays of shape (atoms, channels, lm)."""
    entries = [{"max_angular": L_MAX, "cutoff": CUTOFF, "cutoff_width": WIDTH, **entry} for entry in settings]
    model = {"elements": ELEMENTS, "density": {"cutoff": 2.0, "max_radial": 1, "max_angular": 0},
             "charges": dict(zip(ELEMENTS, CHARGES)), "fields": entries}
    return [field[:, :, 0] for field in expansions(atoms, model)["fields"]]


def close(found, expected, tolerance=1e-6):
    """Every l on its own scale."""
    for l in range(L_MAX + 1):
        block = np.s_[..., l * l : (l + 1) ** 2]
        scale = np.abs(expected[block]).max()
        assert np.abs(found[block] - expected[block]).max() < tolerance * scale, f"l = {l}"


@pytest.mark.parametrize("exponent", range(1, 7))
def test_bulk(exponent):
    atoms = structure()
    found = fields(atoms, {"exponent": exponent}, {"exponent": exponent, "sources": "elements"})
    strengths = np.column_stack([CHARGES, np.eye(4)])
    expected = exterior_bulk(exponent, L_MAX, CUTOFF, WIDTH, atoms.positions, CELL, strengths)
    close(found[0], expected[:, :1])
    close(found[1], expected[:, 1:])


def test_dispersion_by_a_plain_sum():
    """p = 6 needs no damping: shells up to 45 Å and an integral for the rest."""
    from reference import images

    atoms, radius = structure(), 45.0
    translations = images(CELL, np.ones(3, bool), radius + 10.0)

    def kernel(vectors):
        inside = np.linalg.norm(vectors, axis=-1)[..., None] < radius
        values = np.where(inside, point_kernel(6, L_MAX, vectors), 0.0)
        return values - interior(6, L_MAX, CUTOFF, WIDTH, vectors)

    expected = pair_sum(kernel, atoms.positions, np.eye(4), translations)
    expected[:, :, 0] += np.sqrt(4 * np.pi) / (3 * radius**3 * atoms.get_volume())
    close(fields(atoms, {"exponent": 6, "sources": "elements"})[0], expected, 1e-5)


@pytest.mark.parametrize("exponent", [1, 2, 3, 6])
@pytest.mark.parametrize("pbc", PATTERNS[1:-1])
def test_slabs_and_wires(pbc, exponent):
    atoms = structure(pbc)
    (found,) = fields(atoms, {"exponent": exponent})
    expected = exterior_partial(exponent, L_MAX, CUTOFF, WIDTH, atoms.positions, CELL, np.array(pbc),
                                np.array(CHARGES)[:, None], 140.0 if exponent == 1 else 60.0)
    close(found, expected)


@pytest.mark.parametrize("exponent", range(1, 7))
def test_isolated(exponent):
    atoms = structure(False)
    found = fields(atoms, {"exponent": exponent}, {"exponent": exponent, "sources": "elements"})
    strengths = np.column_stack([CHARGES, np.eye(4)])

    def kernel(vectors):
        return point_kernel(exponent, L_MAX, vectors) - interior(exponent, L_MAX, CUTOFF, WIDTH, vectors)

    expected = pair_sum(kernel, atoms.positions, strengths, np.zeros((1, 3)))
    close(found[0], expected[:, :1], 1e-10)
    close(found[1], expected[:, 1:], 1e-10)


@pytest.mark.parametrize("exponent", [1, 2, 6])
def test_isolated_is_the_limit_of_a_growing_box(exponent):
    """For neutral sums the images are dipoles: the field and its gradient approach their limit as L^-(p+2)."""
    (limit,) = fields(structure(False), {"exponent": exponent})
    edges = np.array([14.0, 20.0, 28.0])
    values = []
    for edge in edges:
        box = structure()
        box.set_cell(edge * np.eye(3))
        values.append(fields(box, {"exponent": exponent})[0])
    errors = [np.abs(value - limit)[..., :4].max() for value in values]
    slopes = np.diff(np.log(errors)) / np.diff(np.log(edges))
    assert slopes[-1] == pytest.approx(-(exponent + 2), abs=0.15)
    # Opposite images leave even steps of the power, so three boxes take two terms out.
    powers = np.column_stack([np.ones(3), edges ** -(exponent + 2.0), edges ** -(exponent + 4.0)])
    extrapolated = np.linalg.solve(powers, np.array(values).reshape(3, -1))[0].reshape(limit.shape)
    assert np.abs(extrapolated - limit).max() < 1e-5


@pytest.mark.parametrize("pbc", PATTERNS)
def test_supercells(pbc):
    atoms = structure(pbc)
    settings = [{"exponent": 1}, {"exponent": 3}, {"exponent": 6, "sources": "elements"}]
    repeats = tuple(2 if periodic else 1 for periodic in pbc)
    for small, large in zip(fields(atoms, *settings), fields(atoms * repeats, *settings)):
        close(large, np.tile(small, (np.prod(repeats), 1, 1)), 1e-8)


def test_other_cells_of_the_same_crystal():
    atoms = structure()
    settings = [{"exponent": 1}, {"exponent": 6, "sources": "elements"}]
    expected = fields(atoms, *settings)
    skewed = atoms.copy()
    skewed.set_cell(np.array([[1, 0, 0], [2, 1, 0], [-1, 1, 1]]) @ CELL)
    left_handed = atoms.copy()
    left_handed.set_cell(CELL[[1, 0, 2]])
    for other in (skewed, left_handed):
        for found, reference in zip(fields(other, *settings), expected):
            close(found, reference)
    double = make_supercell(atoms, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
    images = [int(np.argmin(np.linalg.norm(np.mod((p - atoms.positions) @ np.linalg.inv(CELL) + 0.5, 1) - 0.5, axis=1)))
              for p in double.positions]
    for found, reference in zip(fields(double, *settings), expected):
        close(found, reference[images])


@pytest.mark.parametrize("pbc", PATTERNS)
def test_atoms_outside_the_cell(pbc):
    atoms = structure(pbc)
    settings = [{"exponent": 1}, {"exponent": 6, "sources": "elements"}]
    moved = atoms.copy()
    shifts = np.random.default_rng(1).integers(-3, 4, (4, 3)) * np.array(pbc)
    moved.positions += shifts @ CELL
    for found, reference in zip(fields(moved, *settings), fields(atoms, *settings)):
        close(found, reference, 1e-9)


@pytest.mark.parametrize("pbc", PATTERNS[1:])
def test_vectors_along_free_directions_do_not_matter(pbc):
    atoms = structure(pbc)
    settings = [{"exponent": 1}, {"exponent": 6, "sources": "elements"}]
    expected = fields(atoms, *settings)
    free = ~np.array(pbc)
    for vectors in (np.zeros((3, 3)), 30.0 * np.eye(3), CELL[[2, 0, 1]] - 1.0):
        other = atoms.copy()
        cell = CELL.copy()
        cell[free] = vectors[free]
        other.set_cell(cell)
        for found, reference in zip(fields(other, *settings), expected):
            close(found, reference, 1e-9)
