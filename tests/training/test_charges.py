"""Charges of the elements come back from the dipoles and charges they made."""

import numpy as np
import pytest

from ase_lode.errors import ConfigError, DataError
from ase_lode.training.charges import fit_charges
from ase_lode.training.dataset import Structure

TRUE = {1: 0.4, 8: -0.8}


def atomic(system):
    charges = np.array([TRUE[z] for z in system.numbers])
    return charges + (system.charge - charges.sum()) / len(system)


@pytest.mark.parametrize("label", ["dipole", "charges"])
def test_recovers_charges(make_systems, label):
    data = []
    for system in make_systems(8, atoms=7):
        q = atomic(system)
        data.append(Structure(system, dipole=q @ system.positions if label == "dipole" else None,
                              charges=q if label == "charges" else None))
    fitted = fit_charges(data, ["H", "O"])
    assert fitted["H"] - fitted["O"] == pytest.approx(1.2, rel=1e-5)
    made = [np.array([fitted["H"] if z == 1 else fitted["O"] for z in s.system.numbers]) for s in data]
    for q, structure in zip(made, data):
        shifted = q - q.mean() + structure.system.charge / len(structure)
        assert shifted == pytest.approx(atomic(structure.system), abs=1e-5)


def test_nothing_to_fit_to(make_systems):
    with pytest.raises(ConfigError, match=r"sources: charges.*sources: elements"):
        fit_charges([Structure(make_systems(1)[0])], ["H", "O"])
    periodic = Structure(make_systems(1, periodic=True)[0], dipole=np.ones(3))
    with pytest.raises(DataError, match="multivalued"):
        fit_charges([periodic], ["H", "O"])
