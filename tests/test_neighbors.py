"""Pairs against a plain search, in one order whatever list they were compacted from."""

import itertools

import numpy as np
import pytest
from ase import Atoms

from ase_lode.neighbors import NeighborList
from ase_lode.system import System

PATTERNS = list(itertools.product([True, False], repeat=3))
CELL = np.array([[3.1, 0.0, 0.0], [1.4, 2.9, 0.0], [-0.7, 0.8, 3.6]])


def structure(pbc, n=6, spread=2.0):
    """Atoms partly outside a cell that is smaller than the cutoff."""
    positions = np.random.default_rng(4).normal(scale=spread, size=(n, 3))
    return Atoms("H" * n, positions=positions, cell=CELL, pbc=pbc)


def plain(system, cutoff):
    """(i, j, vector) of every pair, by trying all images within reach."""
    reach = cutoff + np.linalg.norm(np.ptp(system.positions, axis=0))
    heights = 1 / np.linalg.norm(np.linalg.inv(system.cell), axis=0)
    counts = np.where(system.pbc, np.ceil(reach / heights), 0).astype(int)
    found = []
    for shift in itertools.product(*[range(-n, n + 1) for n in counts]):
        for i, j in itertools.product(range(len(system)), repeat=2):
            vector = system.positions[j] - system.positions[i] + np.array(shift) @ system.cell
            if np.linalg.norm(vector) < cutoff and (i != j or any(shift)):
                found.append((i, j, *vector))
    return found


@pytest.mark.parametrize("pbc", PATTERNS)
def test_pairs_equal_a_plain_search(pbc):
    system = System.from_atoms(structure(pbc))
    pairs = NeighborList(4.0).pairs(system, 4.0)
    assert_all_found(pairs, plain(system, 4.0))
    assert np.allclose(pairs.distances, np.linalg.norm(pairs.vectors, axis=1), rtol=1e-14)
    assert all((pairs.i[pairs.first[c] : pairs.first[c + 1]] == c).all() for c in range(len(system)))
    assert pairs.first[-1] == len(pairs.j)


def assert_all_found(pairs, expected):
    found = [(i, j, *vector) for i, j, vector in zip(pairs.i, pairs.j, pairs.vectors)]
    assert len(found) == len(expected)
    assert np.allclose(sorted(map(_rounded, found)), sorted(map(_rounded, expected)), atol=1e-9)


def _rounded(row):
    return tuple(np.round(row, 8) + 0.0)


@pytest.mark.parametrize("pbc", PATTERNS)
def test_order_and_numbers_do_not_depend_on_the_past(pbc):
    atoms = structure(pbc)
    kept, rng = NeighborList(4.0, skin=0.8), np.random.default_rng(0)
    for _ in range(12):
        atoms.positions += rng.normal(scale=0.08, size=atoms.positions.shape)
        atoms.set_cell(atoms.cell * (1 + 0.003 * rng.normal(size=(3, 1))), scale_atoms=True)
        system = System.from_atoms(atoms)
        for cutoff in (2.5, 4.0):
            old, new = kept.pairs(system, cutoff), NeighborList(cutoff).pairs(system, cutoff)
            for name in ("first", "i", "j", "vectors", "distances"):
                assert np.array_equal(getattr(old, name), getattr(new, name))


@pytest.mark.parametrize("pbc", PATTERNS)
def test_lists_of_longer_cutoffs_stay_right(pbc):
    """Small moves, wrapping, strain and exchanged atoms, with more cutoffs than lists are kept."""
    atoms = structure(pbc)
    atoms.numbers = [1, 6, 8, 1, 1, 6]
    kept, rng = NeighborList(2.0, skin=0.6), np.random.default_rng(0)
    for step in range(12):
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        if step % 4 == 1:
            atoms.wrap()
        elif step % 4 == 2:
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.01 * rng.normal(size=(3, 3))), scale_atoms=True)
        elif step % 4 == 3:
            atoms = atoms[rng.permutation(6)]
        system = System.from_atoms(atoms)
        for cutoff in (2.5, 3.0, 3.2, 3.4, 3.6, 2.0)[step % 2 :]:
            old, new = kept.pairs(system, cutoff), NeighborList(cutoff).pairs(system, cutoff)
            for name in ("first", "i", "j", "vectors", "distances"):
                assert np.array_equal(getattr(old, name), getattr(new, name))
        assert_all_found(old, plain(system, 2.0))


@pytest.mark.parametrize("pbc", PATTERNS)
@pytest.mark.parametrize("distance", [1e3, 1e6])
def test_an_atom_far_away_along_free_directions(distance, pbc):
    """As after an evaporation; the search must neither take all memory nor stop the process."""
    atoms = structure(pbc)
    atoms.positions[2] += distance * ~np.array(pbc)
    system = System.from_atoms(atoms)
    pairs = NeighborList(3.0, skin=1.0).pairs(system, 3.0)
    atoms.positions[2] += (20.0 - distance) * ~np.array(pbc)
    assert_all_found(pairs, plain(System.from_atoms(atoms), 3.0))


@pytest.mark.parametrize("cell", [(6.0, 3e3, 3e3), (4.0, 5.0, 1e6)])
def test_few_atoms_in_a_vast_thin_cell(cell):
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]], cell=cell, pbc=True)
    pairs = NeighborList(2.0, skin=1.0).pairs(System.from_atoms(atoms), 2.0)
    assert pairs.j.tolist() == [1, 0] and np.allclose(pairs.distances, 1.0)


def test_the_list_is_searched_again_only_when_needed(monkeypatch):
    searches, original = [], NeighborList._search
    monkeypatch.setattr(NeighborList, "_search", lambda self, *rest: searches.append(1) or original(self, *rest))
    atoms, kept = structure(True), NeighborList(3.0, skin=1.0)
    for shift, expected in ((0.0, 1), (0.2, 1), (0.25, 1), (0.6, 2), (0.6, 2)):
        moved = atoms.copy()
        moved.positions[0, 0] += shift
        kept.pairs(System.from_atoms(moved), 3.0)
        assert len(searches) == expected
    # A rigid translation moves no atom against another, but a new cell or another periodicity counts.
    squeezed = atoms.copy()
    squeezed.set_cell(atoms.cell * 0.7, scale_atoms=True)
    kept.pairs(System.from_atoms(squeezed), 3.0)
    squeezed.pbc = (True, True, False)
    kept.pairs(System.from_atoms(squeezed), 3.0)
    kept.pairs(System.from_atoms(squeezed[:-1]), 3.0)
    assert len(searches) == 5


def test_an_atom_sees_its_own_images():
    system = System.from_atoms(Atoms("H", cell=[2.0, 2.0, 2.0], pbc=True))
    pairs = NeighborList(2.1).pairs(system, 2.1)
    assert len(pairs.j) == 6 and np.allclose(pairs.distances, 2.0)
    assert len(NeighborList(2.0).pairs(system, 2.0).j) == 0  # the cutoff itself is outside


def test_no_pairs_and_coincident_atoms():
    alone = NeighborList(3.0).pairs(System.from_atoms(Atoms("H")), 3.0)
    assert alone.first.tolist() == [0, 0] and alone.vectors.shape == (0, 3)
    twice = NeighborList(3.0).pairs(System.from_atoms(Atoms("H2", positions=np.ones((2, 3)))), 3.0)
    assert len(twice.j) == 2 and (twice.distances > 0).all() and (twice.distances < 1e-3).all()


def test_one_and_two_threads_give_the_same_pairs():
    system = System.from_atoms(structure(True, n=150, spread=6.0))
    one, two = (NeighborList(3.0).pairs(system, 3.0, n_threads) for n_threads in (1, 2))
    assert all(np.array_equal(getattr(one, name), getattr(two, name)) for name in ("first", "i", "j", "vectors"))


def test_pair_gradients_become_atoms_and_a_virial():
    system = System.from_atoms(structure(True))
    pairs = NeighborList(3.0).pairs(system, 3.0)
    pair_gradient = np.random.default_rng(0).normal(size=pairs.vectors.shape)
    gradient, virial = np.zeros((6, 3)), np.zeros((3, 3))
    pairs.add_gradient(pair_gradient, gradient, virial)
    expected = np.zeros((6, 3))
    np.add.at(expected, pairs.j, pair_gradient)
    np.add.at(expected, pairs.i, -pair_gradient)
    assert np.allclose(gradient, expected, atol=1e-12)
    assert np.allclose(virial, pairs.vectors.T @ pair_gradient, atol=1e-10)
