"""Madelung constants from the field at l = 0 of charges, with every source outside the cutoff."""

import numpy as np
import pytest
from ase.build import bulk

from ase_lode import expansions

#: Structure, lattice constant and nearest distance in Å, Madelung constant, as tabulated.
CRYSTALS = {"rocksalt": (5.6, 2.8, 1.74756459),
            "cesiumchloride": (4.0, 2 * np.sqrt(3), 1.76267477),
            "zincblende": (5.4, 5.4 * np.sqrt(3) / 4, 1.63805505)}
ODD = np.array([[2, 1, 0], [0, 1, 1], [1, 0, 1]])


def crystal(structure, cubic):
    name = {"cesiumchloride": "CsCl"}.get(structure, "NaCl")
    a = CRYSTALS[structure][0]
    return bulk(name, structure, a=a) if structure == "cesiumchloride" else bulk(name, structure, a=a, cubic=cubic)


def constants(atoms, nearest):
    """-q_i V_i d for every atom, from the l = 0 coefficient V_i Y_00."""
    cation, anion = atoms.get_chemical_symbols()[:2]
    field = {"exponent": 1, "max_angular": 0, "sources": "charges", "charges": {cation: 1.0, anion: -1.0},
             "cutoff": 0.9 * nearest}
    model = {"elements": [cation, anion], "density": {"cutoff": 2.0, "max_radial": 1, "max_angular": 0},
             "fields": [field]}
    potential = expansions(atoms, model)["fields"][0][:, 0, 0, 0] * np.sqrt(4 * np.pi)
    charges = np.where(atoms.symbols == cation, 1.0, -1.0)
    return -charges * potential * nearest


@pytest.mark.parametrize("repeats", [(1, 1, 1), (3, 1, 1), (1, 2, 1)])
@pytest.mark.parametrize("structure, cubic", [(s, c) for s in CRYSTALS for c in (False, True)])
def test_madelung_constant(structure, cubic, repeats):
    _, nearest, expected = CRYSTALS[structure]
    found = constants(crystal(structure, cubic) * repeats, nearest)
    assert np.abs(found - expected).max() < 1e-6


@pytest.mark.parametrize("structure", CRYSTALS)
def test_madelung_constant_in_a_skewed_supercell(structure):
    from ase.build import make_supercell

    _, nearest, expected = CRYSTALS[structure]
    atoms = crystal(structure, False)
    supercell = make_supercell(atoms, ODD)
    assert len(supercell) == 3 * len(atoms)
    assert np.abs(constants(supercell, nearest) - expected).max() < 1e-6
