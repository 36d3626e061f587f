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

#: The second derivative of 1/r at an atom, summed over every element's atoms: the tensor by which dipoles polarise each
#: other. The field itself, l = 0, would grow with the chain.
FIELD = {"exponent": 1, "min_angular": 2, "max_angular": 2, "sources": "elements"}
#: Fields of the ridge model, None without one; whether charge flow comes first and the ridge learns what it leaves.
MODELS = {"density": ([], False), "density and field": ([FIELD], False), "charge flow": (None, True),
          "charge flow + density": ([], True), "charge flow + density and field": ([FIELD], True)}
KINDS = {"dipeptide": 2, "tripeptide": 3, "tetrapeptide": 4, "pentapeptide": 5, "helix": 10}
#: One dipeptide sequence in so many is tested on instead.
HELD = 8
#: Growth of the error between these lengths; draws of sequences that tell its standard error.
SHORT, LONG, DRAWS = "dipeptide", "pentapeptide", 1000
#: Gaps below this (eV) are closing, and charge moves along the whole chain.
GAP = 1.0


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
                       fields=fields)
    calc = LODECalculator(potential, on_extrapolation="ignore")

    def predict(some):
        found = [result["polarizability"] for result in calc.predict(some, ("polarizability",))]
        return [tensor + flow.predict(atoms) * first for tensor, atoms in zip(found, some)]

    return predict


def relative(errors, labels, order):
    """Return the error relative to the spread: for λ = 0 the standard deviation, for λ = 2 the root mean square."""
    return rmse(errors, 0) / (np.std(labels) if order == 0 else rmse(labels, 0))


def draws(frames):
    """Yield molecules of sequences drawn with replacement."""
    sequences = np.array([str(atoms.info["sequence"]) for atoms in frames])
    each = [np.flatnonzero(sequences == sequence) for sequence in sorted(set(sequences))]
    random = np.random.default_rng(0)
    for _ in range(DRAWS):
        yield np.concatenate([each[k] for k in random.integers(len(each), size=len(each))])


def narrowed(judged, order, gap=0.0):
    """Return molecules, errors and labels of one order, where the gap (eV) is above."""
    frames, errors, labels = judged
    kept = np.flatnonzero([atoms.info["gap"] > gap for atoms in frames])
    return [frames[k] for k in kept], errors[order][kept], labels[order][kept]


def growth(short, long, order):
    """Return how much the relative error grows, and its standard error; `short` and `long` come from `narrowed`."""
    ratios = [relative(long[1][b], long[2][b], order) / relative(short[1][a], short[2][a], order)
              for a, b in zip(draws(short[0]), draws(long[0]))]
    return relative(*long[1:], order) / relative(*short[1:], order), float(np.std(ratios))


options = arguments(HERE, __doc__)
train, test = split(labelled(HERE / "peptides_xtb.extxyz.gz"))
if options.small:
    train, test = train[::8], {kind: some[::12] for kind, some in test.items() if kind != "helix"}
flow = ChargeFlow(train)
print(f"{len(train)} molecules trained on")
summary, growths, lines = [], [], {}
for name in MODELS:
    predict, found = model(name, train, flow), {}
    for kind, some in test.items():
        labels = parts([atoms.info["polarizability"] for atoms in some])
        found[kind] = some, [a - b for a, b in zip(parts(predict(some)), labels)], labels
    for order in range(2):
        for kind, judged in found.items():
            (_, errors, labels), wide = narrowed(judged, order), narrowed(judged, order, GAP)
            ratio = relative(errors, labels, order)
            if kind != "helix":  # few, and one of them metallic
                lines.setdefault((name, order), []).append((KINDS[kind], ratio))
            summary.append((name, 2 * order, kind, len(errors), rmse(errors, 0), ratio, len(wide[0]),
                            relative(*wide[1:], order)))
        ratios = [growth(*(narrowed(found[kind], order, gap) for kind in (SHORT, LONG)), order) for gap in (0.0, GAP)]
        growths.append((name, 2 * order, *ratios[0], *ratios[1]))
table(options.out / "errors.csv", ("model", "lambda", "kind", "molecules", "rmse", "relative", "wide_gap",
                                   "relative_wide_gap"), summary)
table(options.out / "growth.csv", ("model", "lambda", "growth", "error", "growth_wide_gap", "error_wide_gap"), growths)
figure = Figure(figsize=(8, 3.4), layout="constrained")
for order, panel in enumerate(figure.subplots(1, 2)):
    for name in MODELS:
        panel.plot(*zip(*lines[name, order]), "o-", label=name)
    panel.set(xlabel="residues", ylabel="error / spread", title=f"λ = {2 * order}", ylim=(0, None), xticks=[2, 3, 4, 5])
panel.legend(fontsize="small")
figure.savefig(options.out / "peptides.png", dpi=100)
