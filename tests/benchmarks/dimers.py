"""Binding curves beyond the distances of training: ``recipes/dimers.yaml``, one model for all classes.

    ASE_LODE_DATA=FOLDER python tests/benchmarks/dimers.py [--test FILE ...]

Trains on the nearest distances of every curve and on its two molecules alone, whose energies the files hold, and judges
the other distances; prints and writes the table of ``results/dimers.md``. ``--test`` instead trains on all of them and
judges the given files, which need the keys of the training files. Errors are root mean squares of the energy less
`energyA` and `energyB`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
import yaml
from ase.calculators.singlepoint import SinglePointCalculator
from ase.neighborlist import build_neighbor_list, natural_cutoffs
from scipy.sparse.csgraph import connected_components

from ase_lode import LODECalculator, train
from ase_lode.training.dataset import find_file

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "dimers.md"
CONFIG = yaml.safe_load((HERE / "recipes" / "dimers.yaml").read_text(encoding="utf-8"))
CLASSES = ("CC", "CP", "CA", "PP", "PA", "AA")
#: Distances of each curve that train, of ten.
NEAR = (6, 7, 8)
#: Ten more pairs of ions, 13 distances each, of another source and level of theory. Energies of the molecules there are
#: not those of the same cell (the pairs differ from them by eV at any distance), so they do not train.
MORE, MORE_LENGTH, MORE_NEAR = "dimers/CC_130.xyz", 13, 10
HEADING = """# Dimers beyond the distances of training

Written by `python tests/benchmarks/dimers.py` from [dimers.yaml](../recipes/dimers.yaml), one model for all classes,
which also knows the energies of the molecules alone: RMSE of the energy less theirs (of predicting zero) in meV on the
distances not trained on.
"""


def fitted(frames, folder):
    """The recipe's potential of some frames."""
    ase.io.write(Path(folder) / "train.xyz", frames)
    config = {**CONFIG, "output": {"name": "dimers", "directory": str(folder), "report": "none"}}
    elements = [e for e in CONFIG["model"]["elements"] if any(e in atoms.symbols for atoms in frames)]
    # Pairs of ions alone do not determine the reference energy of every element.
    config["model"] = {**CONFIG["model"], "elements": elements, "baseline": {"allow_rank_deficient": True}}
    config["data"] = {**CONFIG["data"], "train": {**CONFIG["data"]["train"], "file": str(Path(folder) / "train.xyz")}}
    return train(config, quiet=True)[0]


def molecules(frames):
    """Both molecules of every pair alone in its cell: where energies go far apart."""
    pairs = {(atoms.info["label"], atoms.info["energyA"], atoms.info["energyB"]): atoms for atoms in frames}
    found = []
    for (label, *energies), atoms in pairs.items():
        bonded = build_neighbor_list(atoms, natural_cutoffs(atoms), self_interaction=False).get_connectivity_matrix()
        owner = connected_components(bonded, directed=False)[1]
        for part, energy in zip((atoms[owner == owner[0]], atoms[owner != owner[0]]), energies):
            part.info = {"label": f"{label}, apart"}
            part.calc = SinglePointCalculator(part, energy=energy)
            found.append(part)
    return found


def errors(train_frames, test_frames):
    """RMSE in meV of the model and of predicting zero, by class."""
    with tempfile.TemporaryDirectory() as folder:
        calc = LODECalculator(fitted(train_frames, folder), on_extrapolation="ignore")
        results = calc.predict([atoms.copy() for atoms in test_frames], ("energy",))
    apart = np.array([atoms.info["energyA"] + atoms.info["energyB"] for atoms in test_frames])
    reference = np.array([atoms.get_potential_energy() for atoms in test_frames]) - apart
    predicted = np.array([result["energy"] for result in results]) - apart
    label = np.array([atoms.info["label"] for atoms in test_frames])
    return {kind: (rms(predicted[label == kind] - reference[label == kind]), rms(reference[label == kind]))
            for kind in CLASSES if kind in label}


def rms(values):
    """Root mean square, in meV of values in eV."""
    return 1e3 * float(np.sqrt(np.mean(values**2)))


def split(curves, near):
    """Frames of the nearest distances, and of the others."""
    return [a for curve in curves for a in curve[:near]], [a for curve in curves for a in curve[near:]]


def table(rows):
    """Markdown of errors by what was trained on."""
    kinds = [kind for kind in CLASSES if any(kind in found for found in rows.values())]
    lines = ["| trained on | " + " | ".join(kinds) + " |", "|---|" + "---:|" * len(kinds)]
    for name, found in rows.items():
        cells = (f"{found[k][0]:.2f} ({found[k][1]:.2g})" if k in found else "" for k in kinds)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", nargs="+", type=Path, default=[], help="files to judge with a model of all curves")
    parser.add_argument("--data", help="folder of the curves, unless ASE_LODE_DATA names it")
    options = parser.parse_args()

    def read(name):
        return ase.io.read(find_file(name, data_folder=options.data), ":")

    curves = [read(name) for name in CONFIG["data"]["train"]["file"]]
    if options.test:
        test = [atoms for path in options.test for atoms in ase.io.read(path, ":")]
        frames = [a for curve in curves for a in curve]
        sys.stdout.write(table({"all ten distances": errors([*frames, *molecules(frames)], test)}))
        return
    rows = {}
    for near in NEAR:
        train_frames, test_frames = split(curves, near)
        rows[f"nearest {near} of 10"] = errors([*train_frames, *molecules(train_frames)], test_frames)
        sys.stdout.write(table(rows) + "\n")
        sys.stdout.flush()
    frames = read(MORE)
    more = [frames[k:k + MORE_LENGTH] for k in range(0, len(frames), MORE_LENGTH)]
    rows[f"{len(more)} other pairs, nearest {MORE_NEAR} of {MORE_LENGTH}"] = errors(*split(more, MORE_NEAR))
    text = table(rows)
    sys.stdout.write(text)
    RESULTS.write_text(f"{HEADING}\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
