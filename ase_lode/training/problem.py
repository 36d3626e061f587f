"""What a head is trained on, and what its training gives."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ase_lode.hypers import ModelConfig, TrainConfig
from ase_lode.models.baseline import Baseline
from ase_lode.training.rows import Scales


@dataclass(frozen=True)
class Problem:
    """A training run up to the head.

    Attributes
    ----------
    config : TrainConfig
    model : ModelConfig
        Complete and resolved.
    data : Data
    baseline : Baseline
    scales : Scales
        Divisors of the residuals.
    directory : Path
        Where results go.
    n_threads : int
    """

    config: TrainConfig
    model: ModelConfig
    data: object
    baseline: Baseline
    scales: Scales
    directory: Path
    n_threads: int


@dataclass(frozen=True)
class Trained:
    """What a head's training gives.

    Attributes
    ----------
    weights, posterior, ranges
        As `Potential` takes them.
    baseline : Baseline
    header, report : dict
        What the card and the report say of the training.
    """

    weights: np.ndarray
    baseline: Baseline
    posterior: np.ndarray | None
    ranges: tuple
    header: dict
    report: dict
