"""The reliability checks for every shipped potential, on systems it was not trained on."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bcc100, bulk, make_supercell, molecule, surface

from ase_lode import ExtrapolationWarning, LODECalculator, list_potentials
from ase_lode.errors import StructureError

SHIPPED = ["dipeptides", "water", "water-npt", "slab-xtb", "water-li100"]
#: The mesh's default tolerance: eV/atom, and share of the root-mean-square force.
ENERGY, FORCE = 1e-6, 1e-5


def waters(n=2, pbc=True, seed=0):
    """n³ molecules on a rattled grid, in a triclinic cell if periodic."""
    rng = np.random.default_rng(seed)
    cell = 3.1 * n * np.array([[1.0, 0.0, 0.0], [0.1, 1.0, 0.0], [-0.1, 0.05, 1.0]])
    atoms = Atoms(cell=cell, pbc=pbc)
    for point in np.ndindex(n, n, n):
        water = molecule("H2O")
        water.rotate(360 * rng.random(), rng.normal(size=3))
        water.translate((np.array(point) + 0.3) / n @ cell - water.get_center_of_mass() + 0.1 * rng.normal(size=3))
        atoms += water
    return atoms


def salt_slab(vacuum=None):
    """A water molecule on two layers of NaCl(001): no vacuum and pbc TTF, or TTT with this height of the cell."""
    slab = surface(bulk("NaCl", "rocksalt", a=5.6, cubic=True), (0, 0, 1), 1)
    slab = make_supercell(slab, np.diag([2, 1, 1]))
    water = molecule("H2O")
    water.rotate(100, "x")
    water.translate(slab.positions[slab.numbers == 11].max(axis=0) + [0.1, 0.05, 2.4] - water.positions[0])
    atoms = slab + water
    atoms.rattle(0.03, seed=1)
    atoms.set_cell([*slab.cell.lengths()[:2], vacuum or 1.0])
    atoms.pbc = [True, True, vacuum is not None]
    return atoms


def lithium_slab():
    """A water molecule on two layers of Li(100), a smaller cell than those of the data."""
    slab, water = bcc100("Li", (3, 3, 2), a=3.44, vacuum=0), molecule("H2O")
    water.rotate(160, "x")
    water.translate(slab.positions[-1] + [0.4, 0.2, 2.2] - water.positions[0])
    atoms = slab + water
    atoms.rattle(0.03, seed=1)
    atoms.set_cell([*slab.cell.lengths()[:2], 1.0])
    atoms.pbc = [True, True, False]
    return atoms


def systems(name):
    """Structures of the potential's kind that are in no training set."""
    if name == "dipeptides":
        peptide = molecule("CH3CONH2")
        peptide.rattle(0.03, seed=2)
        other = molecule("CH3CH2OH")
        other.translate([4.0, 1.0, 0.5])
        return [peptide, peptide + other]
    if name == "slab-xtb":
        return [salt_slab(), salt_slab(26.0)]
    if name == "water-li100":
        return [lithium_slab()]
    return [waters(), waters(pbc=False)]


@pytest.fixture(params=SHIPPED)
def name(request):
    if request.param not in {row["name"] for row in list_potentials()}:
        pytest.skip(f"the potential {request.param} is not built yet; see potentials/{request.param}/train.yaml")
    return request.param


def attached(atoms, name, **keywords):
    atoms = atoms.copy()
    atoms.calc = LODECalculator(name, **{"on_extrapolation": "ignore", **keywords})
    return atoms


def shifted(atoms, change):
    moved = atoms.copy()
    moved.calc = atoms.calc
    change(moved)
    return moved.get_potential_energy()


def derivative(energy_at, h):
    """Richardson's central difference."""
    coarse, fine = ((energy_at(s) - energy_at(-s)) / (2 * s) for s in (2 * h, h))
    return (4 * fine - coarse) / 3


def test_forces(name):
    rng = np.random.default_rng(0)
    for atoms in systems(name):
        atoms = attached(atoms, name)
        direction = rng.normal(size=(len(atoms), 3))

        def energy_at(step):
            return shifted(atoms, lambda a: a.set_positions(atoms.positions + step * direction))  # noqa: B023

        expected = -(atoms.get_forces() * direction).sum()
        assert derivative(energy_at, 1e-4) == pytest.approx(expected, rel=1e-6, abs=1e-5)


def test_stress(name):
    for atoms in systems(name):
        if not atoms.pbc.any():
            continue
        atoms = attached(atoms, name)
        strain = np.array([[0.7, 0.3, 0.0], [0.3, -0.4, 0.1], [0.0, 0.1, 0.2]])
        if not atoms.pbc[2]:
            strain[2] = strain[:, 2] = 0
        s = atoms.get_stress(voigt=False)

        def energy_at(step):
            cell = atoms.cell.array @ (np.eye(3) + step * strain)  # noqa: B023
            return shifted(atoms, lambda a: a.set_cell(cell, scale_atoms=True))  # noqa: B023

        found = derivative(energy_at, 1e-5) / atoms.get_volume()
        assert found == pytest.approx((s * strain).sum(), rel=1e-5, abs=1e-6)


def test_rotation_translation_inversion_permutation(name):
    rng = np.random.default_rng(1)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    for atoms in systems(name):
        atoms = attached(atoms, name)
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        scale = np.sqrt(np.mean(forces**2))
        order = rng.permutation(len(atoms))
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ q)
        turned.positions = atoms.positions @ q + [0.3, -1.7, 0.4]
        turned = attached(turned[order], name)
        assert abs(turned.get_potential_energy() - energy) < ENERGY * len(atoms)
        assert np.sqrt(np.mean((turned.get_forces() - (forces @ q)[order]) ** 2)) < FORCE * scale


def test_supercell_other_cell_and_wrapping(name):
    for atoms in systems(name):
        atoms = attached(atoms, name)
        energy = atoms.get_potential_energy() / len(atoms)
        if not atoms.pbc.any():
            atoms.set_cell([30, 40, 50])  # a dummy: nothing is periodic
            assert atoms.get_potential_energy() / len(atoms) == energy
            continue
        double = attached(make_supercell(atoms, np.diag([2, 1, 1])), name)
        assert abs(double.get_potential_energy() / len(double) - energy) < ENERGY
        skewed = atoms.copy()
        skewed.set_cell(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]]) @ atoms.cell.array)
        skewed.positions[0] += 3 * atoms.cell[0]
        assert abs(attached(skewed, name).get_potential_energy() / len(atoms) - energy) < ENERGY


def test_bad_input(name):
    atoms = systems(name)[0]
    for change, words in ((lambda a: a.set_atomic_numbers([79] * len(a)), "Au"),
                          (lambda a: a.positions.__setitem__((0, 0), np.nan), "finite"),
                          (lambda a: (a.set_cell(np.zeros((3, 3))), a.set_pbc(True)), "cell"),
                          (lambda a: a.__delitem__(slice(None)), "no atoms")):
        broken = attached(atoms, name)
        change(broken)
        with pytest.raises(StructureError, match=words):
            broken.get_potential_energy()


def test_net_force_and_torque_of_isolated_systems(name):
    for atoms in systems(name):
        if atoms.pbc.any():
            continue
        forces = attached(atoms, name).get_forces()
        assert np.abs(forces.sum(axis=0)).max() < 1e-9 * len(atoms)
        assert np.abs(np.cross(atoms.positions - atoms.positions.mean(axis=0), forces).sum(axis=0)).max() < 1e-8


def test_repeats_and_threads(name):
    atoms = systems(name)[0]
    first, second = (attached(atoms, name, n_threads=n) for n in (1, 2))
    a = first.get_forces()
    shifted(first, lambda other: other.rattle(0.1, seed=5))
    first.calc.reset()
    assert (first.get_forces() == a).all() and (second.get_forces() == a).all()


def test_no_jumps_through_the_cutoff(name):
    """Two fragments pulled apart: no step in the energy exceeds what the forces account for."""
    atoms = molecule("H2O") if name != "dipeptides" else molecule("CH3OH")
    size = len(atoms)
    atoms += atoms
    atoms = attached(atoms, name)
    start = atoms.positions.copy()
    distances = np.arange(2.5, 9.0, 0.01)
    energies, slopes = [], []
    for distance in distances:
        atoms.positions = start
        atoms.positions[size:] += [distance, 0.3, 0.1]
        energies.append(atoms.get_potential_energy())
        slopes.append(-atoms.get_forces()[size:, 0].sum())
    energies, slopes = np.array(energies), np.array(slopes)
    predicted = 0.005 * (slopes[1:] + slopes[:-1])
    assert np.abs(np.diff(energies) - predicted).max() < 1e-3 * max(np.ptp(energies), 1e-3)


def test_continuous_at_the_cutoff(name):
    """Energy to 1e-8 and forces to 1e-7 where one pair of atoms of two fragments crosses the cutoff."""
    fragment = molecule("H2O") if name != "dipeptides" else molecule("CH3OH")
    atoms = attached(fragment + fragment, name)
    start, size = atoms.positions.copy(), len(fragment)
    cutoff = atoms.calc.potential.model.density.cutoff
    found = []
    for distance in (cutoff - 5e-9, cutoff + 5e-9):
        atoms.positions = start
        atoms.positions[size:] += [distance, 0, 0]
        found.append((atoms.get_potential_energy(), atoms.get_forces()))
    assert abs(found[1][0] - found[0][0]) < 1e-8 + 1e-8 * np.abs(found[0][1]).max()
    assert np.abs(found[1][1] - found[0][1]).max() < 1e-7


def test_an_isolated_atom_has_its_reference_energy(name):
    calculator = LODECalculator(name, on_extrapolation="ignore")
    baseline = calculator.potential.baseline
    for element, energy in zip(baseline.elements, baseline.energies):
        atom = Atoms(element, calculator=calculator)
        assert atom.get_potential_energy() == pytest.approx(energy, abs=1e-10)
        assert (atom.get_forces() == 0).all()


def test_far_from_the_data_warns(name):
    atoms = attached(systems(name)[0], name, on_extrapolation="warn")
    atoms.set_positions(0.5 * atoms.positions)
    with pytest.warns(ExtrapolationWarning):
        atoms.get_potential_energy()


def test_vacuum_of_a_slab():
    """Twice the vacuum changes the energy of a slab in a fully periodic cell by less than 5 meV."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        energies = [attached(salt_slab(height), "slab-xtb").get_potential_energy() for height in (26.0, 46.0)]
    assert abs(energies[1] - energies[0]) < 5e-3
