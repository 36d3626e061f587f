"""Polarizabilities of peptides longer than those trained on: density, density and field, mutual polarisation."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ase_lode import LODECalculator

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from charge_flow import ChargeFlow  # noqa: E402
from common import arguments, fitted, labelled, rmse, table  # noqa: E402

#: Charges in e, roughly; each structure shifts them to its total charge. A field of elements would grow with the chain.
CHARGES = {"H": 0.2, "C": 0.1, "N": -0.5, "O": -0.5, "S": -0.1}
FIELD = {"exponent": 1, "max_angular": 2, "sources": "charges"}
#: Fields of the ridge model, None without one; whether charge flow comes first and the ridge learns what it leaves.
MODELS = {"density": ([], False), "density and field": ([FIELD], False), "charge flow": (None, True),
          "charge flow + density": ([], True), "charge flow + density and field": ([FIELD], True)}
KINDS = {"dipeptide": 2, "tripeptide": 3, "tetrapeptide": 4, "pentapeptide": 5, "helix": 10}
#: One dipeptide sequence in so many is tested on instead.
HELD = 8


def parts(tensors):
    """Return the mean of the diagonal, λ = 0, and what is left, λ = 2 (Å³)."""
    tensors = np.reshape(tensors, (-1, 3, 3))
    mean = np.trace(tensors, axis1=1, axis2=2) / 3
    return mean, tensors - mean[:, None, None] * np.eye(3)


def split(frames):
    """Return training frames, and test frames by kind."""
    pairs = sorted({atoms.info["sequence"] for atoms in frames if atoms.info["config_type"] == "dipeptide"})
    held = set(pairs[::HELD])
    train, test = [], {kind: [] for kind in KINDS}
    for atoms in frames:
        kind, sequence = atoms.info["config_type"], atoms.info["sequence"]
        if kind == "amino-acid" or (kind == "dipeptide" and sequence not in held):
            train.append(atoms)
        else:
            test[kind].append(atoms)
    return train, test


def model(name, train, flow):
    """Return a function of structures that gives their polarizabilities (Å³)."""
    fields, first = MODELS[name]
    if fields is None:
        return lambda some: [flow.predict(atoms) for atoms in some]
    labels = [atoms.copy() for atoms in train]
    for atoms in labels if first else []:
        atoms.info["polarizability"] = atoms.info["polarizability"] - flow.predict(atoms).ravel()
    potential = fitted(HERE / "train.yaml", name.replace(" + ", "-").replace(" ", "-"), labels, options.out,
                       fields=fields, charges=CHARGES if fields else None)
    calc = LODECalculator(potential, on_extrapolation="ignore")

    def predict(some):
        found = [result["polarizability"] for result in calc.predict(some, ("polarizability",))]
        return [tensor + flow.predict(atoms) * first for tensor, atoms in zip(found, some)]

    return predict


options = arguments(HERE, __doc__)
train, test = split(labelled(HERE / "peptides_xtb.extxyz.gz"))
if options.small:
    train, test = train[::8], {kind: some[:10:3] for kind, some in test.items()}
flow = ChargeFlow(train)
summary, lines = [], {}
for name in MODELS:
    predict = model(name, train, flow)
    for kind, some in test.items():
        if len(some) < 2:
            continue
        predicted = parts(predict(some))
        reference = parts([atoms.info["polarizability"] for atoms in some])
        spread = float(np.std(reference[0])), rmse(reference[1], 0)
        errors = rmse(predicted[0], reference[0]), rmse(predicted[1], reference[1])
        atoms_each = np.mean([len(atoms) for atoms in some])
        summary.append((name, kind, len(some), *errors, *(e / s for e, s in zip(errors, spread)),
                        *(e / atoms_each for e in errors)))
        for order in range(2):
            lines.setdefault((name, order), []).append((KINDS[kind], errors[order] / spread[order]))
print(f"{len(train)} molecules trained on")
table(options.out / "errors.csv", ("model", "kind", "molecules", "rmse_0", "rmse_2", "relative_0", "relative_2",
                                   "per_atom_0", "per_atom_2"), summary)
figure = Figure(figsize=(8, 3.4), layout="constrained")
for order, panel in enumerate(figure.subplots(1, 2)):
    for name in MODELS:
        panel.plot(*zip(*lines[name, order]), "o-", label=name)
    panel.set(xlabel="residues", ylabel="error / spread", title=f"λ = {2 * order}", ylim=(0, None))
panel.legend(fontsize="small")
figure.savefig(options.out / "peptides.png", dpi=100)
