"""What the network and the linear model of liquid water err alike in on the structures that neither was fitted to.

    python tests/benchmarks/common_errors.py [--data FOLDER] [--linear POTENTIAL]

Errors of two models that have little in common are alike in the noise of the labels, and in what neither describes: the
mean of their product is the square of both together, and what is left of each square is that model's own.
Without a potential the linear recipe is trained first (ten minutes). Writes `results/common_errors.md`.
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
RESULTS = Path(__file__).parent / "results" / "common_errors.md"


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
    rows = []
    for label, one, other in zip(("energy, meV/atom", "forces, meV/Å"), *(residuals(model, held) for model in models)):
        products = (one * other).mean(axis=1)
        common, deviation = products.mean(), products.std(ddof=1) / np.sqrt(len(products))
        squares = np.array([np.mean(errors**2) for errors in (one, other)])
        cells = [*np.sqrt(squares), np.sqrt(max(0.0, common)), *np.sqrt(np.maximum(0.0, squares - common))]
        rows.append(f"| {label} | {' | '.join(f'{cell:.3g}' for cell in cells)} | {common:.3g} ± {deviation:.2g} |")
    RESULTS.write_text("\n".join([
        "# What two models of liquid water err alike in", "",
        f"`water` and the linear recipe on {len(held)} validation structures; by `common_errors.py`. What is common is "
        "the noise of the labels and what neither model describes.", "",
        "| | network | linear | in common | network's own | linear's own | square of what is common |",
        "|---|---:|---:|---:|---:|---:|---:|", *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
