"""Binding curves beyond the training range: the same model with and without a long-range field, against the reference.

The frames of FILE hold `energy`, `energyA`, `energyB` and `distance`; those of one curve follow each other.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from matplotlib.figure import Figure

from ase_lode import LODECalculator, train

DENSITY = {"cutoff": 3.0, "max_radial": 4, "max_angular": 2}  # Å; small, so that the near field ends early
# Charges of the elements in e, roughly; they are shifted to the total charge, and the fit sets the interaction's size.
CHARGES = {"H": 0.3, "C": 0.1, "N": -0.4, "O": -0.6, "S": -0.4}

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser()
parser.add_argument("file", nargs="?", type=Path, default=HERE.parent / "data" / "dimers_xtb.extxyz")
parser.add_argument("--below", type=float, default=8.0, help="train on frames with a shorter distance (Å)")
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
out = options.out.resolve()
out.mkdir(parents=True, exist_ok=True)

frames = ase.io.read(options.file, ":")
curves = []
for atoms in frames:
    pair = (atoms.info["energyA"], atoms.info["energyB"])
    atoms.info["interaction"] = atoms.get_potential_energy() - sum(pair)
    atoms.calc = None
    before = curves[-1][-1].info if curves else None
    if before is None or pair != (before["energyA"], before["energyB"]) or atoms.info["distance"] < before["distance"]:
        curves.append([])
    curves[-1].append(atoms)
distance, reference = (np.array([atoms.info[key] for atoms in frames]) for key in ("distance", "interaction"))
near = distance < options.below
if not 0 < near.sum() < len(frames):
    parser.error(f"--below must lie between {distance.min():.1f} and {distance.max():.1f} Å, the file's distances")
ase.io.write(out / "near.extxyz", [atoms for atoms, use in zip(frames, near) if use])

# Interaction energies are fitted: atoms count nothing, and forces, which also act inside the molecules, are left out.
elements = sorted({symbol for atoms in frames for symbol in atoms.symbols})
baseline = {"reference_energies": dict.fromkeys(elements, 0.0), "repulsion": "none"}
field = {"exponent": 1, "max_angular": 1, "sources": "charges", "charges": {e: CHARGES[e] for e in elements}}
predicted = {}
for name, fields in {"with": [field], "without": []}.items():
    potential, _ = train({
        "schema": 1, "model": {"elements": elements, "density": DENSITY, "fields": fields, "baseline": baseline},
        "data": {"train": {"file": str(out / "near.extxyz"), "energy": "interaction", "forces": None},
                 "validation": {}},
        "output": {"name": name, "directory": str(out), "report": "none"}}, quiet=True)
    calc = LODECalculator(potential, on_extrapolation="ignore")
    predicted[name] = np.array([result["energy"] for result in calc.predict(frames, ("energy",))])

error = {name: np.sqrt(np.mean((values - reference)[~near] ** 2)) for name, values in predicted.items()}
print(f"{near.sum()} frames below {options.below} Å trained on, {(~near).sum()} beyond predicted")
print(f"RMSE beyond: {error['with']:.4f} eV with the field, {error['without']:.4f} eV without, "
      f"{error['without'] / error['with']:.1f} times smaller")
np.savetxt(out / "curves.csv", np.column_stack([distance, reference, predicted["with"], predicted["without"]]), "%.6f",
           ",", header="distance_A,reference_eV,with_field_eV,without_field_eV", comments="")

figure = Figure(figsize=(12, 2.6 * -(-len(curves) // 4)), layout="constrained")
panels = figure.subplots(-(-len(curves) // 4), 4, squeeze=False).ravel()
for panel in panels[len(curves):]:
    panel.remove()
start = 0
for panel, curve in zip(panels, curves):
    part = slice(start, start := start + len(curve))
    panel.plot(distance[part], reference[part], "ko", markersize=3, label="reference")
    panel.plot(distance[part], predicted["with"][part], "C0", label="with the field")
    panel.plot(distance[part], predicted["without"][part], "C3--", label="without")
    panel.axvline(options.below, color="0.7", linewidth=1)  # the training range ends here
    panel.set_title(curve[0].get_chemical_formula(), fontsize="small")
panels[0].legend(fontsize="x-small")
figure.supxlabel("distance (Å)")
figure.supylabel("interaction energy (eV)")
figure.savefig(out / "curves.png", dpi=120)
