"""Values of the paper's definition, with featomic as the oracle."""

import numpy as np
import pytest
from ase import Atoms

from ase_lode import expansions

featomic = pytest.importorskip("featomic", reason="featomic is the oracle; install the test extra")

ELEMENTS = ["H", "C", "O"]
NUMBERS = [1, 6, 8]
L_MAX, N, CUTOFF, SMEARING = 4, 4, 3.5, 0.5
CELL = np.array([[6.0, 0.0, 0.0], [1.3, 5.4, 0.0], [-0.8, 0.9, 6.3]])


def triclinic():
    rng = np.random.default_rng(3)
    atoms = Atoms("HOCHHCO", cell=CELL, pbc=True)
    atoms.set_scaled_positions(rng.random((7, 3)))
    return atoms


def ours(fields=()):
    return {"elements": ELEMENTS, "fields": list(fields),
            "density": {"cutoff": CUTOFF, "max_radial": N, "max_angular": L_MAX, "basis": "gto", "smearing": SMEARING,
                        "cutoff_width": 0.7}}


def dense(tensor, n_atoms):
    """featomic's blocks as (atoms, elements, radial, lm)."""
    out = np.zeros((n_atoms, len(ELEMENTS), N, (L_MAX + 1) ** 2))
    for key, block in tensor.items():
        l, a = key["o3_lambda"], NUMBERS.index(key["neighbor_type"])
        centres = block.samples.column("atom")
        out[centres, a, :, l * l : (l + 1) ** 2] = block.values.transpose(0, 2, 1)
    return out


def basis():
    radial = {"type": "Gto", "max_radial": N - 1, "radius": CUTOFF}
    return {"type": "TensorProduct", "max_angular": L_MAX, "radial": radial, "spline_accuracy": None}


def lode(atoms, exponent):
    density = {"type": "SmearedPowerLaw", "smearing": SMEARING, "exponent": exponent}
    if exponent == 0:
        density = {"type": "Gaussian", "width": SMEARING}
    calculator = featomic.LodeSphericalExpansion(density=density, basis=basis(), k_cutoff=6.0 / SMEARING)
    return dense(calculator.compute(atoms), len(atoms))


def compare(values, reference, tolerance=1e-6):
    assert values.shape == reference.shape
    assert np.abs(values - reference).max() < tolerance * np.abs(reference).max()


def test_density_equals_spherical_expansion():
    atoms = triclinic()
    radial = {"type": "Gto", "max_radial": N - 1}
    calculator = featomic.SphericalExpansion(
        cutoff={"radius": CUTOFF, "smoothing": {"type": "ShiftedCosine", "width": 0.7}},
        density={"type": "Gaussian", "width": SMEARING},
        basis={"type": "TensorProduct", "max_angular": L_MAX, "radial": radial, "spline_accuracy": None})
    compare(expansions(atoms, ours())["density"], dense(calculator.compute(atoms), len(atoms)))


@pytest.mark.parametrize("exponent", [1, 2, 3, 4, 5, 6])
def test_full_field_equals_lode(exponent):
    atoms = triclinic()
    model = ours([{"exponent": exponent, "max_angular": L_MAX, "near_field": "full", "sources": "elements"}])
    compare(expansions(atoms, model)["fields"][0], lode(atoms, exponent))


def test_one_smearing_for_both_by_default():
    """A field's smearing is the density's unless given."""
    atoms = triclinic()
    field = {"exponent": 1, "max_angular": 1, "near_field": "full", "sources": "elements"}
    a = expansions(atoms, ours([field]))["fields"][0]
    b = expansions(atoms, ours([{**field, "smearing": SMEARING}]))["fields"][0]
    assert (a == b).all()
