"""Where the particle mesh must not show: jumps where it or its reach change, drift, forces that are no gradient."""

from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import fcc100, molecule
from ase.io import read
from ase.md.verlet import VelocityVerlet
from structures import water_box
from synthetic import bulk, potential, slab
from synthetic import molecule as seven_atoms

from ase_lode import LODECalculator
from ase_lode.dynamics.velocities import draw_velocities
from ase_lode.features import exterior, reaches
from ase_lode.features.exterior import ExteriorField
from ase_lode.hypers import FieldConfig
from ase_lode.system import System

DATA = Path(__file__).parents[2] / "md_examples" / "data"


def water():
    return water_box(64), "water-npt"


def salt_slab():
    """A molecule on a face of rock salt, free along z: the mesh there follows the atoms' height."""
    atoms = fcc100("Na", (4, 4, 2), a=5.64, vacuum=6.0, periodic=False)
    atoms.symbols = ["Cl" if round(2 * (x + y + z) / 5.64) % 2 else "Na" for x, y, z in atoms.positions]
    atoms += molecule("H2O", positions=molecule("H2O").positions + atoms.positions.max(axis=0) / 2 + [0, 0, 5.0])
    return atoms, "slab-xtb"


def meshes(calc, atoms):
    calc.pin_mesh(atoms)
    state = calc.get_state()
    calc.release_mesh()
    return state


def jumps(atoms, name):
    """Energies per atom at one geometry on two meshes, their difference wherever a cell under strain changes its mesh.
    """
    calc = LODECalculator(name, on_extrapolation="ignore", n_threads=1)
    before = None
    for stretch in np.linspace(0.9, 1.1, 21):
        strained = atoms.copy()
        strain = np.array([[stretch, 0, 0], [0.1 * (stretch - 1), 1, 0], [0, 0, 1 / stretch]])
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        mesh = meshes(calc, strained)
        if before not in (None, mesh):
            energies = []
            for state in (before, mesh):
                calc.set_state(state)
                energies.append(calc.get_potential_energy(strained))
            yield abs(energies[1] - energies[0]) / len(atoms)
        before = mesh


@pytest.mark.parametrize("structure", [water, salt_slab])
def test_energy_does_not_jump_where_the_mesh_changes(structure):
    found = list(jumps(*structure()))
    assert len(found) >= 2 and min(found) > 0 and max(found) < 1e-7


def dilute(pbc):
    """Water of a third of the usual density on average: a slab between vacuum, or what is left of it without images."""
    atoms = water_box(64)
    atoms.set_cell(atoms.cell.array * [[1], [1], [3]])
    atoms.pbc = pbc
    return atoms


def energies_by_reach(atoms, name, steps):
    """Energy per atom with each reach, whatever would be chosen; the step None is the direct sum."""
    calc, usual = LODECalculator(name, on_extrapolation="ignore", n_threads=1), exterior.cheapest
    try:
        for step in steps:
            exterior.cheapest = lambda *_, step=step: step
            calc.reset()
            yield calc.get_potential_energy(atoms) / len(atoms)
    finally:
        exterior.cheapest = usual


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, False)])
def test_energy_does_not_jump_where_the_reach_changes(pbc):
    steps = [*([] if any(pbc) else [None]), *reaches.STEPS[:6]]
    found = np.abs(np.diff(list(energies_by_reach(dilute(pbc), "water-npt", steps))))
    assert found.min() > 0 and found.max() < 1e-7


def chosen(atoms):
    """The reach of a field of charges for a structure in Å, None where it is summed directly."""
    config = FieldConfig(exponent=1, max_angular=2, cutoff=5.0, cutoff_width=2.5, charges={"H": 0.4, "O": -0.8})
    split = ExteriorField(config, ["H", "O"], 1e-5).split(System.from_atoms(atoms))
    return split and split.reach


def test_the_reach_follows_the_density():
    liquid = water_box(64)
    assert chosen(liquid) == 5.0
    vacuum = [chosen(dilute((True, True, periodic))) for periodic in (True, False)]
    assert min(vacuum) > 5.0
    gas = liquid.copy()
    gas.set_cell(liquid.cell * 4, scale_atoms=True)
    assert chosen(gas) > max(vacuum)
    for atoms in (liquid, gas, dilute(True)):
        assert chosen(atoms) == chosen(atoms * (2, 1, 2))
    liquid.pbc = gas.pbc = False
    assert chosen(liquid) is None  # few atoms
    assert chosen(water_box(1000)) == 5.0


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("structure", ["bulk", "slab", "molecule"])
def test_forces_are_the_gradient_at_every_tolerance(structure, tolerance, monkeypatch):
    monkeypatch.setattr(reaches, "DIRECT", np.inf)
    atoms = {"bulk": bulk, "slab": slab, "molecule": seven_atoms}[structure]()
    calc = LODECalculator(potential("two"), tolerance=tolerance, n_threads=1)
    direction = np.random.default_rng(0).normal(size=(len(atoms), 3))

    def energy(step):
        moved = atoms.copy()
        moved.positions += step * direction
        return calc.get_potential_energy(moved)

    differences = [(energy(step) - energy(-step)) / (2 * step) for step in (1e-3, 5e-4)]
    expected = -(4 * differences[1] - differences[0]) / 3
    assert np.sum(calc.get_forces(atoms) * direction) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_energy_does_not_drift_with_the_mesh():
    """A mesh a hundred times too coarse conserves energy as well as a fine one: what is left is the time step's."""
    slopes = []
    for tolerance in (1e-3, 1e-6):
        atoms = read(DATA / "slab_xtb.extxyz.gz", index=0)
        atoms.calc = LODECalculator("slab-xtb", tolerance=tolerance, on_extrapolation="ignore", n_threads=1)
        draw_velocities(atoms, 200, np.random.default_rng(0), True)
        dynamics, energies = VelocityVerlet(atoms, 0.5 * units.fs), []
        dynamics.attach(lambda atoms=atoms, energies=energies: energies.append(atoms.get_total_energy() / len(atoms)))
        dynamics.run(400)
        slopes.append(np.polyfit(np.arange(len(energies)) * 0.5e-3, energies, 1)[0])
    assert abs(slopes[0]) < 1e-5  # eV/atom/ps
    assert slopes[0] == pytest.approx(slopes[1], abs=1e-8)
