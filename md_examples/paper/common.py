"""What the four parts share: where results go, a trained model from a part's YAML, its predictions, errors."""

import argparse
import gzip
import io
import sys
from pathlib import Path

import ase.io
import numpy as np
import yaml

from ase_lode import LODECalculator, train


def arguments(part, description, **extra):
    """Return the options of a part's script; `small` asks for a quick look at everything, for tests."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=part / "out", help="folder for models, tables and the figure")
    parser.add_argument("--small", action="store_true", help="few structures, to see that everything runs")
    for name, settings in extra.items():
        parser.add_argument(f"--{name}", **settings)
    options = parser.parse_args()
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def labelled(path):
    """Return the structures of a compressed extxyz file, unpacked first: ASE seeks, which takes fifty times as long."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return ase.io.read(io.StringIO(file.read()), ":", format="extxyz")


def fitted(recipe, name, frames, out, **model):
    """Train the model of a YAML file on some frames, keys of its model section replaced.

    Parameters
    ----------
    recipe : Path
        The configuration.
    name : str
        Of the potential.
    frames : list of Atoms
        Training structures with their labels in ``info``, or in their calculator.
    out : Path
        Folder for the potential and its data.
    **model
        What to replace in the model section.

    Returns
    -------
    Potential
    """
    config = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    ase.io.write(out / f"{name}.extxyz", frames)
    elements = sorted({symbol for atoms in frames for symbol in atoms.symbols})
    config["model"] |= {"elements": elements, **model}
    if references := config["model"].get("baseline", {}).get("reference_energies"):
        config["model"]["baseline"]["reference_energies"] = {element: references[element] for element in elements}
    config["data"]["train"]["file"] = str(out / f"{name}.extxyz")
    config["output"] |= {"name": name, "directory": str(out), "report": "none"}
    return train(config, quiet=True)[0]


def energies(potential, frames):
    """Return the model's energies (eV)."""
    calc = LODECalculator(potential, on_extrapolation="ignore")
    return np.array([result["energy"] for result in calc.predict(frames, ("energy",))])


def rmse(predicted, reference):
    """Return the root of the mean squared error."""
    return float(np.sqrt(np.mean((np.asarray(predicted) - reference) ** 2)))


def table(path, header, rows):
    """Print rows and write them as CSV."""
    lines = [",".join(header)] + [",".join(f"{x:.4g}" if isinstance(x, float) else str(x) for x in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    width = max(len(cell) for line in lines for cell in line.split(",")) + 2
    for line in lines:
        sys.stdout.write("".join(cell.ljust(width) for cell in line.split(",")).rstrip() + "\n")
    sys.stdout.flush()
