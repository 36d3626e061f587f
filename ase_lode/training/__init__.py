"""Fitting potentials to one's own data: files in; potential, metrics and report out."""

from ase_lode.training.evaluate import evaluate
from ase_lode.training.lint import lint
from ase_lode.training.train import train

__all__ = ["evaluate", "lint", "train"]
