"""Errors of shipped potentials on the validation structures of their recipes.

    python tests/benchmarks/shipped_errors.py [--data FOLDER] [NAME ...]
"""

import argparse
from pathlib import Path

from heads import COLUMNS

from ase_lode import load_potential
from ase_lode.training.metrics import compare
from ase_lode.training.progress import Progress
from ase_lode.training.train import read_data, read_training

POTENTIALS = Path(__file__).parents[2] / "potentials"


def main():
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("names", nargs="*", default=["dipeptides", "water"])
    options = parser.parse_args()
    for name in options.names:
        config, folder = read_training(POTENTIALS / name / "train.yaml")
        held = read_data(config, folder, options.data, Progress(quiet=True)).held
        errors = compare(load_potential(name), held).summary()
        print(name, len(held), ", ".join(f"{label} {factor * errors[label]['rmse']:.4g} {unit}"
                                         for label, (unit, factor) in COLUMNS.items() if label in errors))


if __name__ == "__main__":
    main()
