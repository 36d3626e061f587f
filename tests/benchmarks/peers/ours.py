"""ase_lode: the model of speed.yaml with random weights, its variants, through ASE."""

import os
from pathlib import Path

import numpy as np
import yaml

from ase_lode import LODECalculator
from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig
from ase_lode.models.baseline import Baseline
from ase_lode.models.potential import Potential

MODEL = yaml.safe_load((Path(__file__).parents[1] / "speed.yaml").read_text(encoding="utf-8"))
#: The field with featomic's features: the paper's definition, one channel of each element, l up to 4.
FEATOMIC = {"exponent": 1, "max_angular": 4, "near_field": "full", "sources": "elements", "basis": "gto",
            "smearing": 1.4}


def potential(model):
    """A potential with all that a shipped one carries: repulsion, ranges of the training data."""
    model = ModelConfig.model_validate(model).resolved()
    n, representation = len(model.elements), Representation(model)
    weights = np.random.default_rng(0).normal(size=(n, representation.n_features))
    ranges = np.full((n, representation.layout.width), -1e9), np.full((n, representation.layout.width), 1e9)
    return Potential(model, weights, Baseline(tuple(model.elements), np.zeros(n), np.full((n, n), 0.8)),
                     {"name": "speed"}, ranges=ranges)


def calculator(atoms, **changes):
    calc = LODECalculator(potential({**MODEL, **changes}), n_threads=int(os.environ["OMP_NUM_THREADS"]))
    return lambda: calc.calculate(atoms, ["energy", "forces", "stress"])


def field(atoms):
    return calculator(atoms)


def no_field(atoms):
    return calculator(atoms, fields=[])


def field_l4(atoms):
    return calculator(atoms, fields=[{**MODEL["fields"][0], "max_angular": 4}])


def field_featomic(atoms):
    return calculator(atoms, fields=[FEATOMIC])


def molecule(atoms):
    """One `get_forces`; the same model for the molecule's elements."""
    charges = {"H": 0.1, "C": 0.1, "N": -0.4, "O": -0.5}
    atoms.calc = LODECalculator(potential({**MODEL, "elements": list(charges),
                                           "fields": [{**MODEL["fields"][0], "charges": charges}]}))
    return atoms.get_forces
