"""Coefficients, products and rows: derivatives against differences, and every road to the same numbers."""

import numpy as np
import pytest
from ase import Atoms
from synthetic import CHARGES, ELEMENTS, FIELDS, bulk, molecule, slab

from ase_lode.errors import ConfigError, StructureError
from ase_lode.features import full, reaches
from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig
from ase_lode.neighbors import NeighborList
from ase_lode.system import System

STRUCTURES = {"molecule": molecule, "bulk": bulk, "slab": slab}


#: Fields of linear models.
LINEAR = [name for name in FIELDS if name != "network"]


def representation(fields, tolerance=1e-5, invariants=None, **density):
    """`fields` is a key of FIELDS or a list."""
    entries = FIELDS[fields] if isinstance(fields, str) else fields
    model = {"elements": ELEMENTS, "charges": CHARGES, "fields": entries, "invariants": invariants,
             "density": {"cutoff": 3.2, "max_radial": 2, "max_angular": 2, **density}}
    return Representation(ModelConfig.model_validate(model).resolved(), tolerance)


def pin(model, system):
    for field in model.fields:
        if field.on_mesh and system.pbc.any():
            field.pin = field.fitting(system)


def richardson(function, step):
    coarse = (function(step) - function(-step)) / (2 * step)
    fine = (function(step / 2) - function(-step / 2)) / step
    return (4 * fine - coarse) / 3


@pytest.mark.parametrize("basis", ["compact", "gto"])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("fields", LINEAR)
def test_the_way_back_is_the_derivative_of_every_coefficient(fields, structure, basis):
    """A random direction in the space of coefficients, displacements and strains at random."""
    model, atoms = representation(fields, basis=basis), STRUCTURES[structure]()
    system, rng = System.from_atoms(atoms), np.random.default_rng(0)
    pin(model, system)
    environments = model.compute(system)
    direction = rng.normal(size=environments.coefficients.shape)
    gradient, virial = model.pull_back(environments, direction)
    shift, strain = rng.normal(size=system.positions.shape), rng.normal(size=(3, 3))
    strain += strain.T

    def along(move, deform):
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array @ (np.eye(3) + deform))
        moved.positions = (atoms.positions + move) @ (np.eye(3) + deform)
        return np.sum(direction * model.compute(System.from_atoms(moved)).coefficients)

    change = richardson(lambda step: along(step * shift, np.zeros((3, 3))), 4e-4)
    assert abs(np.sum(gradient * shift) - change) < 1e-6 * np.linalg.norm(gradient * shift)
    change = richardson(lambda step: along(0.0, step * strain), 1e-4)
    assert abs(np.sum(virial * strain) - change) < 1e-6 * np.linalg.norm(virial * strain)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("fields", ["short", "charges", "full", "two"])
def test_rows_are_features_and_their_derivatives(fields, structure):
    """Rows times weights equal the energy of the quadratic form and, up to the mesh, the gradient of the way back."""
    model = representation(fields, 1e-9, max_radial=1, max_angular=1)
    system = System.from_atoms(STRUCTURES[structure]())
    rows, environments = model.rows(system), model.compute(system)
    weights = np.random.default_rng(0).normal(size=(len(ELEMENTS), model.n_features))
    features = model.invariants(environments)
    assert np.allclose(rows.energy @ weights.ravel(), np.sum(features * weights[environments.species]), rtol=1e-11)
    energies, slopes = model.energies(environments, model.layout.quadratic(weights))
    isolated = (model.isolated_features * weights).sum(axis=1)[environments.species]
    assert np.allclose(energies - isolated, np.sum(features * weights[environments.species], axis=1), rtol=1e-10)
    gradient, virial = model.pull_back(environments, slopes)
    assert np.allclose(rows.gradient @ weights.ravel(), gradient.ravel(), atol=1e-7 * np.abs(gradient).max())
    voigt = (0.5 * (virial + virial.T))[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    assert np.allclose(rows.virial @ weights.ravel(), voigt, atol=1e-7 * np.abs(voigt).max())
    alone = model.rows(system, forces=False, stress=False)
    assert alone.gradient is None and alone.virial is None and (alone.energy == rows.energy).all()


@pytest.mark.parametrize("fields", LINEAR)
def test_features_do_not_change_when_the_structure_turns(fields):
    from scipy.spatial.transform import Rotation

    model, system = representation(fields), System.from_atoms(molecule())
    features = model.invariants(model.compute(system))
    rotation = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    turned = System(system.numbers, system.positions @ rotation.T + 3.0, system.cell, system.pbc)
    assert np.abs(model.invariants(model.compute(turned)) - features).max() < 1e-10 * np.abs(features).max()


def test_fields_above_the_density():
    far = {"exponent": 1, "min_angular": 3, "max_angular": 3, "sources": "elements"}
    assert set(representation([far], max_angular=1).layout.l) == {0, 1, 3}
    with pytest.raises(ConfigError, match="No features are left"):
        representation([far], max_angular=1, invariants=[(0, 1)])


def test_groups_of_features():
    both = representation("two")
    assert both.group_names == ["density x density", "density x field 1", "density x field 2", "field 1 x field 1",
                                "field 1 x field 2", "field 2 x field 2"]
    one = representation("two", invariants=[(0, 1)])
    assert one.group_names == ["density x field 1"]
    assert one.n_features == np.sum(both.feature_groups == 1)
    assert both.layout.l[both.feature_groups == 2].tolist() == [1] * np.sum(both.feature_groups == 2)
    features, all_features = (model.invariants(model.compute(System.from_atoms(bulk()))) for model in (one, both))
    assert np.allclose(features, all_features[:, both.feature_groups == 1], atol=1e-12)


@pytest.mark.parametrize("fields", LINEAR)
def test_an_isolated_atom_has_no_features(fields):
    model = representation(fields, basis="gto")
    for number in (1, 6, 8):
        atom = System(np.array([number]), np.zeros((1, 3)), np.eye(3), np.zeros(3, bool))
        environments = model.compute(atom)
        assert np.abs(model.invariants(environments)).max() < 1e-9 * np.abs(model.isolated_features).max()


@pytest.mark.parametrize("settings", [{"exponent": 1, "max_angular": 3}, {"exponent": 2}, {"exponent": 3},
                                      {"exponent": 6, "sources": "elements"}])
def test_exterior_direct_and_mesh_agree(monkeypatch, settings):
    """A large isolated system goes over the mesh: the same field, inside the switching shell too."""
    field = {"max_angular": 2, **settings}
    model, system = representation([field], 1e-9), System.from_atoms(molecule(12))
    channels = model.layout.scales[1].channels
    direct = model.compute(system).coefficients[:, :, channels]
    monkeypatch.setattr(reaches, "DIRECT", np.inf)
    mesh = model.compute(system).coefficients[:, :, channels]
    assert np.abs(mesh - direct).max() < 1e-7 * np.abs(direct).max()


@pytest.mark.parametrize("basis", ["compact", "gto"])
@pytest.mark.parametrize("sources", ["elements", "charges"])
def test_full_direct_and_mesh_agree(monkeypatch, basis, sources):
    field = {"max_angular": 2, "near_field": "full", "sources": sources, "smearing": 0.8, "basis": basis}
    model, system = representation([field], 1e-9), System.from_atoms(molecule(12))
    channels = model.layout.scales[1].channels
    direct = model.compute(system).coefficients[:, :, channels]
    monkeypatch.setattr(full, "DIRECT_BELOW", 0)
    mesh = model.compute(system).coefficients[:, :, channels]
    assert np.abs(mesh - direct).max() < 1e-7 * np.abs(direct).max()


@pytest.mark.parametrize("exponent", [1, 3, 6])
def test_full_field_of_a_molecule_is_the_limit_of_a_growing_box(exponent):
    field = {"exponent": exponent, "max_angular": 2, "near_field": "full", "sources": "charges", "smearing": 0.8}
    model, atoms = representation([field], 1e-7), molecule()
    channels = model.layout.scales[1].channels
    limit = model.compute(System.from_atoms(atoms)).coefficients[:, :, channels]
    errors, edges = [], np.array([11.0, 15.0, 20.0])
    for edge in edges:
        atoms.set_cell(edge * np.eye(3))
        atoms.pbc = True
        errors.append(np.abs(model.compute(System.from_atoms(atoms)).coefficients[:, :, channels] - limit).max())
    slopes = np.diff(np.log(errors)) / np.diff(np.log(edges))
    # Neutral: the images' dipoles, and for p ≤ 3 the dropped wave, both with the volume or faster.
    assert slopes[-1] < -2.7 and errors[-1] < 0.05 * np.abs(limit).max()


@pytest.mark.parametrize("basis", ["compact", "gto"])
def test_a_far_source_makes_one_field_for_all_radial_functions(basis):
    """V_i,anlm = 4π/(2l+1) M_nl Y_lm(r̂)/r^(l+1) outside the sphere."""
    from reference import harmonics

    from ase_lode.radial import make_basis, moments

    field = {"max_angular": 2, "near_field": "full", "sources": "elements", "max_radial": 3, "smearing": 0.5,
             "basis": basis}
    model = representation([field])
    vector = np.array([9.0, -14.0, 11.0])
    system = System(np.array([1, 8]), np.stack([np.zeros(3), vector]), np.eye(3), np.zeros(3, bool))
    channels = model.layout.scales[1].channels[6:9]  # oxygen's
    found = model.compute(system).coefficients[0, :, channels].T
    l = np.repeat(np.arange(3), [1, 3, 5])
    far = 4 * np.pi / (2 * l + 1) * harmonics(2, vector) / np.linalg.norm(vector) ** (l + 1)
    expected = far[:, None] * moments(make_basis(basis, 3.2, 3), np.arange(3) + 2)[l]
    assert np.abs(found[: len(l)] - expected).max() < 1e-8 * np.abs(expected).max()


def test_the_compact_density_leaves_the_centre_out_and_ends_at_the_cutoff():
    model = representation("short")
    pair = System(np.array([1, 8]), np.array([[0, 0, 0], [0, 0, 3.2 - 1e-6]]), np.eye(3), np.zeros(3, bool))
    assert np.abs(model.compute(pair).coefficients[:, :, : model.layout.constant]).max() < 1e-10
    near = System(np.array([1, 8]), np.array([[0, 0, 0], [0, 0, 1.0]]), np.eye(3), np.zeros(3, bool))
    coefficients = model.compute(near).coefficients
    assert np.abs(coefficients[0, :, model.layout.scales[0].channels[4:]]).max() > 0.1
    assert not coefficients[0, :, model.layout.scales[0].channels[:4]].any()  # no other hydrogen


def test_full_fields_of_long_molecules():
    """A table of all distances would be huge: 1/r goes over the mesh, other exponents are refused."""
    pair = System.from_atoms(Atoms("HO", positions=[[0, 0, 0], [101.0, 0.3, 0.2]]))
    entry = {"max_angular": 1, "near_field": "full", "sources": "elements", "max_radial": 1}
    field = representation([{"exponent": 1, **entry}]).fields[0]
    values, _ = field.compute(pair, np.array([0, 2]), NeighborList(field.reach), 1)
    # A source outside the sphere acts through 4π/(2l+1) M_nl Y_lm/r^(l+1).
    far = values[0, :, 2]
    direction = pair.positions[1] / np.linalg.norm(pair.positions[1])
    np.testing.assert_allclose(far[[3, 1, 2]] / np.linalg.norm(far[1:]), direction, atol=1e-5)
    with pytest.raises(StructureError, match="isolated systems up to 100 Å; use exponent 1 or near_field: exterior"):
        representation([{"exponent": 4, **entry}]).compute(pair)
