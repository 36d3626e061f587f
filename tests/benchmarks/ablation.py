"""What each default of the network head is worth: one change at a time, on 100 dipeptides.

    python tests/benchmarks/ablation.py [--data FOLDER] [--steps 2000] [--only NAME ...] [--write]

Each variant is trained with the same number of steps and judged on the validation file. Results are kept in
`results/ablation.yaml` as they come, so an interrupted run goes on where it stopped; ``--write`` renews
`results/ablation.md` from them.
"""

import argparse
import tempfile
from pathlib import Path

import yaml
from ase.io import read, write

from ase_lode.training import train
from ase_lode.training.dataset import find_file

RESULTS = Path(__file__).parent / "results"
STRUCTURES = 100
FIELD = {"exponent": 1, "max_angular": 2, "cutoff": 4.5, "sources": "learned"}
#: Changes to `model` by variant: what is asked is what the default is worth.
VARIANTS = {
    "default": {},
    "another seed": {},
    "16 channels": {"head": {"channels": 16}},
    "64 channels": {"head": {"channels": 64}},
    "body order 3": {"head": {"cubic_angular": 0}},
    "body order 4 up to l = 2": {"head": {"cubic_angular": 2}},
    "body order 4 up to l = 3": {"head": {"cubic_angular": 3}},
    "no second density": {"head": {"strengths": 0}},
    "4 strengths": {"head": {"strengths": 4}},
    "16 strengths": {"head": {"strengths": 16}},
    "no field": {"fields": []},
    "no second density, no field": {"head": {"strengths": 0}, "fields": []},
    "exponents 1, 3, 6": {"fields": [FIELD, {**FIELD, "exponent": 3}, {**FIELD, "exponent": 6}]},
    "l up to 3": {"density": {"max_angular": 3}, "head": {"cubic_angular": 3}},
    "cutoff 4.5 Å": {"density": {"cutoff": 4.5}},
    "batches of 50 atoms": {"head": {"batch_atoms": 50}},
    "batches of 400 atoms": {"head": {"batch_atoms": 400}},
    "batches of 400 atoms, a quarter of the steps": {"head": {"batch_atoms": 400}},
    "learning rate 0.003": {"head": {"learning_rate": 0.003}},
    "learning rate 0.03": {"head": {"learning_rate": 0.03}},
    "no weight decay": {"head": {"weight_decay": 0.0}},
    "energies ten times heavier": {"head": {"energy_weights": [0.3, 3.0]}},
    "hidden layers 32, 16": {"head": {"hidden": [32, 16]}},
    "a committee of 2": {"head": {"committee": 2}},
}
SEEDS = {"another seed": 1}
#: Parts of the steps a variant takes.
FEWER = {"batches of 400 atoms, a quarter of the steps": 4}


def configuration(name, steps, folder, data):
    """The run of a variant."""
    model = {"elements": ["H", "C", "N", "O"], "density": {"cutoff": 3.5, "max_radial": 8, "max_angular": 4},
             "fields": [FIELD], "head": {"type": "network", "steps": steps // FEWER.get(name, 1)}}
    for key, value in VARIANTS[name].items():
        model[key] = {**model[key], **value} if isinstance(value, dict) else value
    return {"schema": 1, "seed": SEEDS.get(name, 0), "model": model,
            "data": {"train": {"file": str(folder / "train.xyz"), "forces": "force", "dipole": "dipole"},
                     "validation": {"file": str(data)}},
            "output": {"name": "ablation", "directory": str(folder / "out"), "report": "none"}}


def measure(name, steps, data_folder):
    """Validation errors of a variant in meV/atom, meV/Å and e·Å, and its number of parameters."""
    files = [find_file(f"dipeptides/{part}.xyz", data_folder=data_folder) for part in ("train", "validation")]
    with tempfile.TemporaryDirectory() as folder:
        frames = read(files[0], ":")
        write(Path(folder) / "train.xyz", frames[:: len(frames) // STRUCTURES][:STRUCTURES], format="extxyz")
        potential, report = train(configuration(name, steps, Path(folder), files[1]))
    last = report["history"][-1]
    return {"steps": steps, "energy": round(1e3 * report["errors"]["validation"]["energy"]["rmse"], 3),
            "forces": round(1e3 * report["errors"]["validation"]["forces"]["rmse"], 2),
            "dipole": round(last["dipole"], 4) if "dipole" in last else None, "parameters": report["parameters"]}


def table(results):
    """Markdown, errors relative to the default."""
    base = results["default"]
    rows = ["| variant | energy meV/atom | forces meV/Å | against the default | dipole e·Å | parameters |",
            "|---|---|---|---|---|---|"]
    for name, r in results.items():
        change = f"{100 * (r['energy'] / base['energy'] - 1):+.0f} %, {100 * (r['forces'] / base['forces'] - 1):+.0f} %"
        dipole = "" if r["dipole"] is None else f"{r['dipole']:.3f}"
        rows.append(f"| {name} | {r['energy']:.2f} | {r['forces']:.1f} | {'' if r is base else change} | {dipole} | "
                    f"{r['parameters']} |")
    return "\n".join(rows) + "\n"


def main():
    """Measure what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    parser.add_argument("--write", action="store_true", help="only renew the table")
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "ablation.yaml"
    results = yaml.safe_load(path.read_text()) if path.exists() else {}
    for name in [] if options.write else options.only:
        if results.get(name, {}).get("steps") != options.steps:
            results[name] = measure(name, options.steps, options.data)
            path.write_text(yaml.safe_dump(results, sort_keys=False))
            print(name, results[name], flush=True)
    if "default" in results:
        (RESULTS / "ablation.md").write_text(
            f"# What each default of the network head is worth\n\n{STRUCTURES} dipeptides, validation file, root mean "
            f"squares; one change at a time, {results['default']['steps']} steps; another seed shows what is chance. "
            "Runs this short are far from their end, and what learns fast leads."
            f"\n\n{table(results)}")


if __name__ == "__main__":
    main()
