"""Lint sees what would spoil a fit."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.stress import full_3x3_to_voigt_6_stress

from ase_lode.training.lint import lint


def frames(count, scale_energy=1.0, seed=0, constraint=False):
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    result = []
    for _ in range(count):
        atoms = atoms.copy()
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        if constraint:
            atoms.set_constraint(FixAtoms([0, 1]))
        atoms.calc = EMT()
        results = {"energy": scale_energy * atoms.get_potential_energy(), "forces": atoms.get_forces()}
        stored = atoms.copy()
        stored.calc = SinglePointCalculator(stored, **results)
        result.append(stored)
    return result


def warnings(tmp_path, structures):
    path = tmp_path / "a.traj"
    ase.io.write(path, structures)
    found = lint(path)
    assert found.text
    return found, " | ".join(found.warnings)


def test_clean_data_have_no_warnings(tmp_path):
    found, text = warnings(tmp_path, frames(10))
    assert text == "" and found.facts["structures"] == 10
    assert found.facts["energy change / work of forces"].startswith(("0.9", "1.0"))
    assert found.facts["judged"] == {"energy": "energy", "forces": "forces"}


@pytest.mark.parametrize("make, expected", [
    (lambda: frames(10, scale_energy=1 / 27.2114), "mixture of hartree and eV"),
    (lambda: frames(4) + frames(4), "4 structures repeat"),
    (lambda: frames(4, constraint=True), "zeroed by constraints"),
    (lambda: frames(4) + frames(4, scale_energy=1000.0, seed=1), "different levels of theory"),
    (lambda: [*frames(2), molecule("H2O")], "periodicities are mixed"),
    (lambda: [molecule("H2O", vacuum=20, pbc=True)], "pbc F F F"),
    (lambda: [molecule("H2O")], "only 1 of 2"),
    (lambda: [molecule("H2O", pbc=True)], "zero cell"),
    (lambda: [molecule("H2O")], "no forces found")])
def test_traps_are_named(tmp_path, make, expected):
    assert expected in warnings(tmp_path, make())[1]


def test_outliers_are_found(tmp_path):
    structures = [frames(1, seed=seed)[0] for seed in range(12)]
    structures[5].calc.results["energy"] += 4.0
    found, text = warnings(tmp_path, structures)
    assert found.facts["outlying energies"] == 1 and "[5]" in text


def test_charges_of_nine_atoms_are_no_tensor(tmp_path):
    """Nor those of three a vector."""
    atoms = Atoms("Cu9", cell=[20.0] * 3, pbc=True, positions=2.5 * np.indices((3, 3, 1)).reshape(3, 9).T)
    structures = [atoms, atoms[:3]]
    for part in structures:
        part.calc = SinglePointCalculator(part, energy=1.0, charges=np.ones(len(part)), stress=np.zeros(6),
                                          forces=np.zeros((len(part), 3)))
    keys = warnings(tmp_path, structures)[0].facts["keys"]
    assert {key: text.partition(", ")[2] for key, text in keys.items()} == {
        "charges": "1 per atom", "energy": "number", "forces": "3 per atom", "stress": "6 numbers"}


@pytest.mark.filterwarnings("error")
def test_vanishing_labels_do_not_divide(tmp_path):
    """No correlation with energies that never change, no ratio to a virial that vanishes or has no trace."""
    shear = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])
    for virial, expected in ((0 * shear, None), (shear, "-1.0000 (-1 expected)")):
        structures = frames(8)
        for atoms in structures:
            atoms.info["virial"] = virial
            atoms.calc.results["stress"] = -full_3x3_to_voigt_6_stress(shear) / atoms.get_volume()
            atoms.calc.results["energy"] = 1.0
        facts = warnings(tmp_path, structures)[0].facts
        assert facts["energy change / work of forces"] == "uncorrelated in consecutive frames"
        assert facts.get("stress x volume / virial") == expected


def responding(count, change=lambda atoms: None):
    """Water molecules with an isotropic polarizability and a dipole, the last one changed."""
    rng, result = np.random.default_rng(0), []
    for _ in range(count):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(scale=0.03, size=(3, 3))
        atoms.info |= {"alpha": rng.normal(1.4, 0.03) * np.eye(3), "mu": rng.normal(size=3)}
        result.append(atoms)
    change(result[-1])
    return result


def test_responses_alone_have_no_warnings(tmp_path):
    found, text = warnings(tmp_path, responding(20))
    assert text == "" and set(found.facts["responses"]) == {"dipole", "polarizability"}
    assert "energy: null" in found.facts["energies"]


@pytest.mark.parametrize("change, expected", [
    (lambda atoms: atoms.info.update(alpha=-atoms.info["alpha"]), "1 tensors are not positive"),
    (lambda atoms: atoms.info.update(alpha=5 * atoms.info["alpha"]), "1 alpha lie far from the rest"),
    (lambda atoms: atoms.info.update(alpha=atoms.info["alpha"] + np.eye(3, k=1)), "1 tensors are not symmetric"),
    (lambda atoms: (atoms.center(4.0), atoms.set_pbc(True)), "mu of 1 periodic structures")])
def test_traps_of_responses_are_named(tmp_path, change, expected):
    assert expected in warnings(tmp_path, responding(20, change))[1]
