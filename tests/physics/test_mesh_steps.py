"""Where the particle mesh must not show: jumps where it changes with the cell, drift, forces that are no gradient."""

import numpy as np
import pytest
from ase.build import fcc100, molecule
from structures import water_box

from ase_lode import LODECalculator


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
    calc.set_state({"mesh": [None] * len(state["mesh"])})
    return state


@pytest.mark.parametrize("structure", [water, salt_slab])
def test_energy_does_not_jump_where_the_mesh_changes(structure):
    atoms, name = structure()
    calc = LODECalculator(name, on_extrapolation="ignore", n_threads=1)
    found, before = 0, None
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
            assert 0 < abs(energies[1] - energies[0]) < 1e-7 * len(atoms)
            found += 1
        before = mesh
    assert found >= 2
