"""The network head against the linear one, set by set, on the validation structures of each recipe.

    python tests/benchmarks/heads.py [--data FOLDER] [--only NAME ...] [--write]

Linear models as in `recipes`, networks as in `recipes/network`, all with the defaults of the head (water takes more
channels and steps). Results are kept in `results/heads.yaml` as they come, so an interrupted run goes
on where it stopped; ``--write`` only renews `results/heads.md` from them.
"""

import argparse
import tempfile
from pathlib import Path

import yaml

from ase_lode.training import train

HERE = Path(__file__).parent
RESULTS = HERE / "results"
NETWORKS = {path.stem: path for path in sorted((HERE / "recipes" / "network").glob("*.yaml"))}
LINEAR = {name: HERE / "recipes" / f"{name}.yaml" for name in NETWORKS}
#: Label and factor from the package's units to those of the table.
COLUMNS = {"energy": ("meV/atom", 1e3), "forces": ("meV/Å", 1e3), "stress": ("GPa", 160.21766)}


def measure(path, data_folder):
    """Validation errors of a recipe by label, and what it took."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        config["output"] = {"name": path.stem, "directory": folder, "report": "none"}
        _, report = train(config, data_folder=data_folder)
    errors = report["errors"]["validation"]
    return {**{label: round(factor * errors[label]["rmse"], 4) for label, (_, factor) in COLUMNS.items()
               if label in errors}, "coverage": report["coverage"].get("validation"),
            "minutes": round(report["seconds"] / 60, 1)}


def table(results):
    """Markdown: linear and network errors side by side."""
    rows = ["| set | " + " | ".join(f"{label} {unit}, linear | network" for label, (unit, _) in COLUMNS.items())
            + " | minutes, linear | network |", "|---|" + "---:|" * (2 * len(COLUMNS) + 2)]
    for name, both in results.items():
        if len(both) < 2:
            continue
        cells = [f"{both[head][label]:.3g}" if label in both[head] else "" for label in (*COLUMNS, "minutes")
                 for head in ("linear", "network")]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def main():
    """Measure what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--only", nargs="*", default=list(NETWORKS))
    parser.add_argument("--write", action="store_true", help="only renew the table")
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "heads.yaml"
    for name in [] if options.write else options.only:
        for head, recipes in (("linear", LINEAR), ("network", NETWORKS)):
            results = yaml.safe_load(path.read_text()) if path.exists() else {}
            if head not in results.setdefault(name, {}):
                results[name][head] = measure(recipes[name], options.data)
                path.write_text(yaml.safe_dump(results, sort_keys=False))
                print(name, head, results[name][head], flush=True)
    results = yaml.safe_load(path.read_text())
    (RESULTS / "heads.md").write_text(
        "# The network head against the linear one\n\nRoot mean squares on validation structures that were not fitted; "
        "every set with the same defaults of the head, but for water: 64 channels and 40,000 steps (with 32 and 16,000 "
        "0.172 meV/atom and 19.6 meV/Å, after 35 minutes); its row is of the shipped `water` "
        "(`shipped_errors.py`), and its labels are [noisy](label_noise.md).\n\n"
        f"{table(results)}")


if __name__ == "__main__":
    main()
