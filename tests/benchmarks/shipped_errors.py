"""Errors of shipped potentials on the validation structures of their recipes; ``--kinds``: also by formula and class.

Spreads are those of the structures of the line.

    python tests/benchmarks/shipped_errors.py [--data FOLDER] [--kinds] [NAME ...]
"""

import argparse
from pathlib import Path

from ase.symbols import Symbols
from heads import COLUMNS

from ase_lode import load_potential
from ase_lode.hypers import TARGET_UNITS
from ase_lode.training.metrics import compare
from ase_lode.training.progress import Progress
from ase_lode.training.train import read_data, read_training

POTENTIALS = Path(__file__).parents[2] / "potentials"


def by_kind(structures):
    """Structures by formula and class."""
    kinds = {}
    for structure in structures:
        formula = Symbols(structure.system.numbers).get_chemical_formula()
        kinds.setdefault(f"{formula} {structure.config_type}", []).append(structure)
    return kinds


def row(potential, structures):
    """Errors as text."""
    errors = compare(potential, structures).summary()
    parts = [f"{label} {factor * errors[label]['rmse']:.4g} {unit}" for label, (unit, factor) in COLUMNS.items()
             if label in errors]
    for label in (label for label in TARGET_UNITS if label in errors):
        share = errors[label]["percent_of_spread"]  # none of a single structure
        parts.append(label + ("" if share is None else f" {share:.2f} % of the spread"))
    return f"{len(structures)} {', '.join(parts)}"


def main():
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--kinds", action="store_true")
    parser.add_argument("names", nargs="*", default=["dipeptides", "water"])
    options = parser.parse_args()
    for name in options.names:
        config, folder = read_training(POTENTIALS / name / "train.yaml")
        held = read_data(config, folder, options.data, Progress(quiet=True)).held
        potential = load_potential(name)
        print(name, row(potential, held))
        if options.kinds:
            for kind, structures in by_kind(held).items():
                print("   ", kind, row(potential, structures))


if __name__ == "__main__":
    main()
