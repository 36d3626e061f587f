"""Reference energies are recovered, refused when undetermined, and survive being written down."""

import json

import numpy as np
import pytest

from ase_lode.errors import DataError
from ase_lode.models.baseline import Baseline, compositions, fit_reference_energies
from ase_lode.system import System


def molecule(*numbers):
    return System(np.array(numbers), np.zeros((len(numbers), 3)), np.eye(3), np.zeros(3, bool))


def test_recovers_energies_of_the_elements():
    systems = [molecule(1, 1, 8), molecule(8, 8), molecule(1, 1)]
    counts = compositions(systems, ["O", "H"])
    assert counts.tolist() == [[1, 2], [2, 0], [0, 2]]
    fitted = fit_reference_energies(counts, counts @ [-432.0, -13.6], ["O", "H"])
    assert fitted == pytest.approx([-432.0, -13.6])


def test_undetermined_compositions_need_permission():
    counts = np.array([[4.0, 1, 1], [8, 2, 2], [16, 3, 3]])
    with pytest.raises(DataError, match=r"only 2 of the 3 .*allow_rank_deficient"):
        fit_reference_energies(counts, np.arange(3.0), ["Pt", "C", "O"])
    fitted = fit_reference_energies(counts, counts @ [-5.0, -7, -9], ["Pt", "C", "O"], allow_rank_deficient=True)
    assert counts @ fitted == pytest.approx(counts @ [-5.0, -7, -9])


def test_an_isolated_atom_has_its_reference_energy():
    baseline = Baseline(("H", "O"), np.array([-13.6, -432.0]), np.full((2, 2), 0.5))
    energies, gradient, virial = baseline.evaluate(molecule(8))
    assert energies.tolist() == [-432.0] and not gradient.any() and not virial.any()


def test_description_is_json_and_complete():
    baseline = Baseline(("H", "O"), np.array([-13.6, -432.123456789012345]), np.full((2, 2), 0.7))
    again = Baseline.from_dict(json.loads(json.dumps(baseline.to_dict())))
    assert (again.energies == baseline.energies).all() and (again.contact == baseline.contact).all()
    assert again.elements == baseline.elements
    assert Baseline.from_dict(Baseline(("H",), np.zeros(1)).to_dict()).contact is None
