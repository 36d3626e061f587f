"""The benchmark recipes are valid, and their data hold what they ask for."""

import os
from pathlib import Path

import pytest
import yaml

from ase_lode.hypers import TrainConfig, read_config
from ase_lode.training.dataset import find_file
from ase_lode.training.progress import Progress
from ase_lode.training.train import read_data, read_training

RECIPES = sorted((Path(__file__).parents[1] / "benchmarks" / "recipes").rglob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_valid_and_names_its_source(path):
    config = read_config(TrainConfig, yaml.safe_load(path.read_text()))
    assert {"source", "licence"} <= set(config.output.card)


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_finds_every_label(path):
    if "ASE_LODE_DATA" not in os.environ:
        pytest.skip("ASE_LODE_DATA names no folder of reference data")
    config, folder = read_training(path)
    data = read_data(config, folder, None, Progress(quiet=True))
    assert data.train and all(s.energy is not None for s in data.train)
    if config.data.train.forces:
        assert all(s.forces is not None for s in data.train)
    if config.data.train.stress or config.data.train.virial:
        assert all(s.stress is not None for s in data.train)
    assert len(data.paths) == len({find_file(str(p)) for p in data.paths})
