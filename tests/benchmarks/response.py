"""Response models with the unchanged defaults on public reference data, judged on structures that were not fitted.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/response.py [NAME ...]`` trains and judges each set and writes
``results/response.yaml`` and the table in the README; ``--table`` renews the table alone. Errors are root mean squares
over Cartesian components, in atomic units per atom where the published figures are; the spread is the standard
deviation of the components about their means.
"""

import sys
import tempfile
from pathlib import Path

import yaml

from ase_lode import train

RESULTS = Path(__file__).parent / "results" / "response.yaml"
README = Path(__file__).parents[2] / "README.md"
START, END = "<!-- table: response -->", "<!-- end of table: response -->"
BOHR = 0.529177210903
CUTOFF = 4.5
FIELD = {"exponent": 1, "max_angular": 2, "sources": "elements"}
AU = {"dipole": {"key": "mu", "unit": "e*bohr"}, "polarizability": {"key": "alpha", "unit": "bohr^3"}}
#: A network in place of the ridge, with its defaults.
NETWORK = {"response": {"head": {"type": "network"}}}
#: What differs between the sets is in the data: files, keys and units. Dimers seen wider and coarser show what the
#: density is worth, bulk water at 3 Å what the field adds; networks what is gained with more time.
SETS = {
    "qm7b": ({}, {"file": "dielectric/qm7b_train.xyz", "isolated": True},
             {"dipole": {"key": "dipole", "unit": "e*bohr"}, "polarizability": {"key": "pol", "unit": "bohr^3"}}),
    "qm7b, network": (NETWORK, {"file": "dielectric/qm7b_train.xyz", "isolated": True},
                      {"dipole": {"key": "dipole", "unit": "e*bohr"},
                       "polarizability": {"key": "pol", "unit": "bohr^3"}}),
    "monomer": ({}, {"file": "dielectric/water_monomer_train.xyz"}, AU),
    "dimer": ({}, {"file": "dielectric/water_dimer_train.xyz"}, AU),
    "dimer, 6.6 Å, l ≤ 2": ({"model": {"density": {"cutoff": 6.6, "max_angular": 2}}},
                            {"file": "dielectric/water_dimer_train.xyz"}, AU),
    "zundel": ({}, {"file": "dielectric/water_zundel_train.xyz"}, {"polarizability": AU["polarizability"]}),
    "bulk": ({}, {"file": "dielectric/water_bulk_train.xyz"}, {"dielectric_tensor": {"key": "epsilon"}}),
    "bulk, 3 Å": ({"model": {"density": {"cutoff": 3.0}}}, {"file": "dielectric/water_bulk_train.xyz"},
                  {"dielectric_tensor": {"key": "epsilon"}}),
    "bulk, 3 Å and field": ({"model": {"density": {"cutoff": 3.0}, "fields": [FIELD]}},
                            {"file": "dielectric/water_bulk_train.xyz"}, {"dielectric_tensor": {"key": "epsilon"}}),
    "dipeptides": ({}, {"file": "dipeptides/train.xyz"}, {"dipole": {"key": "dipole"}}),
    "SiO2": ({}, {"file": "solids/SiO2_train.xyz"},
             {"born_effective_charges": {"key": "born_charge"},
              "polarizability": {"key": "polarizability", "unit": "e^2*angstrom^2/eV"}}),
}
VALIDATION = {"dipeptides": {"file": "dipeptides/validation.xyz"}}


def run(name):
    """Errors of one set on its validation structures, by target."""
    settings, files, targets = SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        _, report = train({
            "schema": 1, **settings, "model": {"density": {"cutoff": CUTOFF}, **settings.get("model", {})},
            "data": {"train": {"energy": None, "forces": None, **files},
                     "validation": VALIDATION.get(name, {"fraction": 0.1})},
            "targets": targets, "output": {"name": "response", "directory": folder, "report": "none"}})
    return {"structures": report["structures"], "seconds": report["seconds"],
            "errors": {target: shown(target, report["errors"]["validation"][target]) for target in targets}}


def shown(target, errors):
    """The figures that published ones are compared with."""
    unit = {"dipole": BOHR, "polarizability": BOHR**3}.get(target)
    result = {"rmse": errors["rmse"], "unit": errors["unit"], "percent_of_spread": errors["percent_of_spread"]}
    if unit is not None:
        result["atomic_units_per_atom"] = errors["rmse_per_atom"] / unit
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in result.items()}


def table(results):
    """Markdown."""
    lines = ["| set | fitted | judged | target | RMSE | % of spread | a.u. per atom |",
             "|---|---:|---:|---|---:|---:|---:|"]
    for name, result in results.items():
        for target, errors in result["errors"].items():
            counts = result["structures"]
            lines.append(f"| {name} | {counts['train']} | {counts['validation']} | {target} | {errors['rmse']:.4g} "
                         f"{errors['unit'].replace('1', '')} | {errors['percent_of_spread']:.2g} | "
                         f"{errors.get('atomic_units_per_atom', '')} |")
    return "\n".join(lines) + "\n"


def known():
    """The figures so far."""
    return yaml.safe_load(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}


def write(results):
    """The figures, and the table in the README."""
    results = {name: results[name] for name in SETS if name in results}
    RESULTS.write_text(yaml.safe_dump(results, sort_keys=False, allow_unicode=True), encoding="utf-8")
    before, rest = README.read_text(encoding="utf-8").split(START)
    README.write_text(f"{before}{START}\n{table(results)}{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    for name in [] if "--table" in sys.argv else sys.argv[1:] or SETS:
        outcome = run(name)
        write({**known(), name: outcome})
    write(known())
