"""Configurations: defaults written out, ranges kept, unknown keys refused with the nearest valid name."""

import numpy as np
import pytest
from ase import Atoms

from ase_lode import expansions
from ase_lode.errors import ConfigError
from ase_lode.hypers import ModelConfig, TrainConfig, read_config

DENSITY = {"cutoff": 4.0}


def model(**changes):
    return read_config(ModelConfig, {"elements": ["H", "O"], "density": DENSITY, **changes})


@pytest.mark.parametrize("changes, words", [
    ({"desnity": {}}, "Unknown key 'desnity'; did you mean 'density'"),
    ({"density": {"cutof": 4.0}}, "Unknown key 'density.cutof'; did you mean 'cutoff'"),
    ({"fields": [{"exponnet": 1}]}, r"Unknown key 'fields.0.exponnet'; did you mean 'exponent'"),
    ({"density": {"cutoff": 4.0, "zzz": 1}}, r"Unknown key 'density.zzz'; valid keys: cutoff, max_radial"),
    ({"density": {}}, "'density.cutoff' is missing; add it"),
    ({"density": {"cutoff": 0.1}}, r"'density.cutoff'.*greater than 0.5.*got 0.1"),
    ({"density": {"cutoff": float("nan")}}, "'density.cutoff'"),
    ({"density": {"cutoff": "far"}}, "'density.cutoff'.*got 'far'"),
    ({"density": {"cutoff": 4.0, "max_angular": 99}}, "'density.max_angular'.*less than or equal to 8"),
    ({"density": {"cutoff": 4.0, "smearing": 0.5}}, "smearing belongs to basis: gto"),
    ({"density": {"cutoff": 4.0, "cutoff_width": 5.0}}, "cutoff_width must not exceed the cutoff"),
    ({"fields": [{"exponent": 7}]}, r"'fields.0.exponent'.*less than or equal to 6"),
    ({"fields": [{"min_angular": 2, "max_angular": 1}]}, "min_angular 2 exceeds max_angular 1"),
    ({"fields": [{"near_field": "inside"}]}, "'fields.0.near_field'.*'exterior' or 'full'"),
    ({"elements": ["H", "Xx"]}, "'Xx' is not a chemical symbol"),
    ({"elements": ["H", "H"]}, "listed twice"),
    ({"invariants": [[0, 1]]}, "name a scale beyond the 0 fields"),
    ({"charges": {"Zz": 1.0}}, "'Zz' is not a chemical symbol"),
])
def test_errors_name_the_key_and_the_fix(changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        model(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [None, 3, "density", [], ["a"]])
def test_what_is_no_mapping(given):
    with pytest.raises(ConfigError, match="Expected a mapping of settings"):
        read_config(ModelConfig, given)


def test_defaults_are_written_out():
    config = model(charges={"H": 0.4, "O": -0.8}, fields=[{}, {"near_field": "full", "sources": "elements"}]).resolved()
    exterior, full = config.fields
    assert (exterior.cutoff, exterior.cutoff_width, exterior.max_radial) == (4.0, 2.0, 1)
    assert exterior.charges == {"H": 0.4, "O": -0.8} and full.charges is None
    assert (full.basis, full.max_radial, full.smearing) == ("compact", 6, 0.5)
    gto = model(density={"cutoff": 4.0, "basis": "gto"}).resolved()
    assert (gto.density.smearing, gto.density.cutoff_width) == (0.5, 0.5)
    assert config.resolved() == config
    assert read_config(ModelConfig, config.model_dump(mode="json")) == config


def test_the_field_cannot_switch_over_more_than_its_cutoff():
    with pytest.raises(ConfigError, match="cutoff_width"):
        model(fields=[{"cutoff": 2.0, "cutoff_width": 3.0}]).resolved()


def test_a_whole_run_is_checked_at_once():
    data = {"train": {"file": "train.extxyz"}}
    config = read_config(TrainConfig, {"schema": 1, "model": {"density": DENSITY}, "data": data})
    assert config.weights.energy == 1.0 and config.data.validation.fraction == 0.1
    with pytest.raises(ConfigError, match=r"Unknown key 'data.train.forcse'; did you mean 'forces'"):
        read_config(TrainConfig, {"schema": 1, "model": {"density": DENSITY},
                                  "data": {"train": {"file": "a", "forcse": "f"}}})
    with pytest.raises(ConfigError, match="schema"):
        read_config(TrainConfig, {"schema": 2, "model": {"density": DENSITY}, "data": data})


def test_expansions_need_elements_and_charges():
    atoms = Atoms("HO", positions=[[0, 0, 0], [0, 0, 1]])
    with pytest.raises(ConfigError, match="'elements' is missing; list the chemical symbols"):
        expansions(atoms, {"density": DENSITY})
    with pytest.raises(ConfigError, match=r"has no charges for H, O; give 'charges'"):
        expansions(atoms, {"elements": ["H", "O"], "density": DENSITY, "fields": [{}]})
    found = expansions(atoms, {"elements": ["H", "O"], "density": {**DENSITY, "max_radial": 3, "max_angular": 2},
                               "fields": [{"sources": "elements", "max_angular": 1}]})
    assert found["density"].shape == (2, 2, 3, 9) and found["density"].dtype == np.float64
    assert found["fields"][0].shape == (2, 2, 1, 4)
