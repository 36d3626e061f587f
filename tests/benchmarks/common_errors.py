"""What the network and the linear model of liquid water err alike in on the structures that neither was fitted to.

    python tests/benchmarks/common_errors.py [--data FOLDER] [--linear POTENTIAL]

Errors of two models that have little in common are alike in the noise of the labels, and in what neither can describe:
the mean of their product is at least the square of the noise, and what is left of each square is that model's own.
Without a potential the linear recipe is trained first (ten minutes).
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import yaml

from ase_lode import load_potential, train
from ase_lode.training.progress import Progress
from ase_lode.training.train import read_data, read_training

RECIPE = Path(__file__).parent / "recipes" / "water.yaml"


def linear(data_folder):
    """The linear model of the recipe."""
    config = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        config["output"] = {"name": "linear", "directory": folder, "report": "none"}
        return train(config, data_folder=data_folder)[0]


def residuals(potential, structures):
    """Errors of energies in meV/atom, (structures, 1), and of forces in meV/Å, (structures, components)."""
    energies, forces = [], []
    for structure in structures:
        result = potential.evaluate(structure.system)
        energies.append([1e3 * (result.energy - structure.energy) / len(structure)])
        forces.append(1e3 * (-result.gradient - structure.forces).ravel())
    return np.array(energies), np.array(forces)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--linear", help="trained potential of the linear recipe")
    options = parser.parse_args()
    config, folder = read_training(RECIPE)
    held = read_data(config, folder, options.data, Progress(quiet=True)).held
    models = load_potential("water"), load_potential(options.linear) if options.linear else linear(options.data)
    for label, one, other in zip(("energy, meV/atom", "forces, meV/Å"), *(residuals(model, held) for model in models)):
        products = (one * other).mean(axis=1)
        common, deviation = products.mean(), products.std(ddof=1) / np.sqrt(len(products))
        squares = [np.mean(errors**2) for errors in (one, other)]
        own = [np.sqrt(max(0.0, square - common)) for square in squares]
        print(f"{label}: network {np.sqrt(squares[0]):.3g}, linear {np.sqrt(squares[1]):.3g}; in common "
              f"{np.sqrt(max(0.0, common)):.3g} (its square {common:.3g} ± {deviation:.2g}); "
              f"their own {own[0]:.3g}, {own[1]:.3g}")


if __name__ == "__main__":
    main()
