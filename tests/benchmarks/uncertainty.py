"""Whether uncertainties tell errors: acetylacetone, trained at 300 K, judged there and at 600 K.

    python tests/benchmarks/uncertainty.py [--data FOLDER] [--head network|linear | --potential FILE] [--structures 100]

Prints the share of errors within one standard deviation, and the rank correlation of both over all force components
and over structures (root mean squares of their forces).
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import spearmanr

from ase_lode import load_potential
from ase_lode.hypers import FileConfig, UnitsConfig
from ase_lode.training import train
from ase_lode.training.dataset import read_structures
from ase_lode.training.metrics import compare
from ase_lode.training.progress import Progress

RECIPES = {"network": Path(__file__).parent / "recipes" / "network" / "acac.yaml",
           "linear": Path(__file__).parent / "recipes" / "acac.yaml"}


def judge(potential, structures):
    """Coverage and rank correlations of the forces, coverage of the energies."""
    comparison = compare(potential, structures, uncertain=len(structures))
    errors, sigmas = comparison.judged()["forces"]
    parts = np.cumsum([s.forces.size for s in structures])[:-1]
    by_structure = [[np.sqrt(np.mean(part**2)) for part in np.split(values, parts)] for values in (errors, sigmas)]
    return {**comparison.coverage(), "rank, components": spearmanr(abs(errors), sigmas).statistic,
            "rank, structures": spearmanr(*by_structure).statistic}


def main():
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--head", choices=RECIPES, default="network")
    parser.add_argument("--potential", help="made by one of the recipes before")
    parser.add_argument("--structures", type=int, default=100)
    options = parser.parse_args()
    if options.potential:
        potential = load_potential(options.potential)
    else:
        config = yaml.safe_load(RECIPES[options.head].read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder:
            config["output"] = {"name": "acac", "directory": folder, "report": "none"}
            potential, _ = train(config, data_folder=options.data)
    for name in ("train_300K", "train_600K"):
        structures, _ = read_structures(FileConfig(file=f"acac/{name}.xyz"), UnitsConfig(), folder=".",
                                        data_folder=options.data, progress=Progress(quiet=True), targets={})
        stride = max(1, len(structures) // options.structures)
        found = judge(potential, structures[::stride][:options.structures])
        print(name, ", ".join(f"{key} {value:.2f}" for key, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
