"""Files of every schema still give their numbers: energies alone (schema 1), a response (schema 2)."""

from pathlib import Path

import pytest
from synthetic import molecule

from ase_lode import LODECalculator

GOLDEN = Path(__file__).parent / "golden"


def test_energies_of_schema_1():
    atoms = molecule()
    atoms.calc = LODECalculator(GOLDEN / "schema_1.lode", on_extrapolation="ignore")
    assert atoms.get_potential_energy() == pytest.approx(-6180.60538385527, abs=1e-8)
    assert atoms.get_forces()[0] == pytest.approx([-1.3107355280353257, -1.2776034072565778, 1.2038706726113513])


def test_response_of_schema_2():
    found = LODECalculator(GOLDEN / "schema_2.lode", on_extrapolation="ignore").respond(molecule())
    assert found["dipole"] == pytest.approx([2.360128743443008, -0.08865742341851807, -3.2680648576834956])
    assert found["polarizability"][0] == pytest.approx([0.9159797344462816, 0.45627487786282805, -0.6695341376173614])
