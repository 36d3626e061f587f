"""Pairs of charged (C), polar (P) and apolar (A) side chains, beyond the distances of training."""

import os
import sys
from pathlib import Path

import ase.io
import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import arguments, energies, fitted, rmse, table  # noqa: E402

RECIPE = HERE / "train.yaml"
CLASSES = ("CC", "CP", "CA", "PP", "PA", "AA")
#: Charges of the elements in e, roughly: each structure shifts them to its total charge.
CHARGES = {"H": 0.3, "C": 0.1, "N": -0.4, "O": -0.6, "S": -0.4}
#: Pairs of scales, 0 the density and 1 the field.
PRODUCTS = {"ρ⊗ρ": [[0, 0]], "V⊗V": [[1, 1]], "ρ⊗V": [[0, 1]], "ρ⊗ρ + ρ⊗V": [[0, 0], [0, 1]], "all": None}
EXPONENTS = (1, 3, 6)
#: Shares of the pairs of a class to train on, the last quarter tests; distances of each to train on, of 13 and of 10.
SHARES, NEAR, NEAR_BFDB = (0.25, 0.75), 8, 6


def elements(frames):
    """Return the chemical symbols of all frames."""
    return {symbol for atoms in frames for symbol in atoms.symbols}


def model(frames, products, exponent=1):
    """Return keys of the model section."""
    field = {"exponent": exponent, "max_angular": 2, "sources": "charges"}
    charges = {element: CHARGES[element] for element in sorted(elements(frames))}
    return {"fields": [field], "invariants": PRODUCTS[products], "charges": charges}


def values(frames):
    """Return the reference interaction energies (eV)."""
    return np.array([atoms.info["interaction"] for atoms in frames])


def curves_of(frames):
    """Return lists of frames, one for each pair."""
    curves = {}
    for atoms in frames:
        curves.setdefault(atoms.info["group"], []).append(atoms)
    return list(curves.values())


def alone(curves):
    """Return each molecule of some pairs once, without the other: its interaction is nothing."""
    found = {}
    for curve in curves:
        pair, (kinds, charge) = curve[-1], (curve[-1].info["config_type"], curve[-1].info["charge"])
        gaps = pair.get_all_distances()
        size = max(range(1, len(pair)), key=lambda n: gaps[:n, n:].min())
        first = charge / 2 if kinds == "CC" else charge
        for molecule, own in ((pair[:size], first), (pair[size:], charge - first)):
            molecule.info = {"interaction": 0.0, "charge": own}
            found.setdefault((molecule.get_chemical_formula(), own), molecule)
    return list(found.values())


def published(folder, kinds):
    """Return the curve of one class of the BFDb set, its labels under this script's names."""
    frames = ase.io.read(Path(folder) / "dimers" / f"{kinds}_train.xyz", ":")
    for atoms in frames:
        atoms.info = {"interaction": atoms.info["inter_energy"], "distance": atoms.info["distance"],
                      "charge": int(atoms.info["chargeA"] + atoms.info["chargeB"])}
        atoms.calc = None
        atoms.arrays = {name: atoms.arrays[name] for name in ("numbers", "positions")}
    return frames


def beyond(name, train, test, products, exponent, out):
    """Return the RMSE (eV) on test frames of a model of the training frames, and its predictions."""
    predicted = energies(fitted(RECIPE, name, train, out, **model(train, products, exponent)), test)
    return rmse(predicted, values(test)), predicted


options = arguments(HERE, __doc__, data={"type": Path, "default": os.environ.get("ASE_LODE_DATA"),
                                         "help": "folder of the BFDb curves (dimers/CC_train.xyz, ...)"})
frames = ase.io.read(HERE / "sidechains_xtb.extxyz.gz", ":")
classes = CLASSES[:1] if options.small else CLASSES
summary, learning = [], {}
for kinds in classes:
    curves = curves_of([atoms for atoms in frames if atoms.info["config_type"] == kinds])
    trained = [max(1, round(share * len(curves))) for share in SHARES[: 1 if options.small else None]]
    test = [atoms for curve in curves[round(SHARES[-1] * len(curves)):] for atoms in curve[NEAR:]]
    single = alone(curves)
    scale = float(np.std(values([atoms for curve in curves for atoms in curve])))
    for count in trained:
        train = [atoms for curve in curves[:count] for atoms in curve[:NEAR]] + single
        print(f"{kinds}: {count} pairs", flush=True)
        for products in PRODUCTS:
            error, _ = beyond(kinds, train, test, products, 1, options.out)
            learning[kinds, products, count] = error
            summary.append((kinds, products, 1, count, 1e3 * error, 1e3 * rmse(0, values(test)), 1e3 * scale))
    for exponent in EXPONENTS[1:]:
        error, _ = beyond(kinds, train, test, "ρ⊗ρ + ρ⊗V", exponent, options.out)
        summary.append((kinds, "ρ⊗ρ + ρ⊗V", exponent, count, 1e3 * error, 1e3 * rmse(0, values(test)), 1e3 * scale))
table(options.out / "learning.csv", ("class", "products", "exponent", "pairs", "RMSE_meV", "of_zero_meV", "spread_meV"),
      summary)

figure = Figure(figsize=(13, 3.2), layout="constrained")
for column, (panel, kinds) in enumerate(zip(figure.subplots(1, len(classes), squeeze=False)[0], classes)):
    for products in PRODUCTS:
        line = [(count, 1e3 * error) for (k, p, count), error in learning.items() if (k, p) == (kinds, products)]
        panel.loglog(*zip(*line), "o-", markersize=3, label=products)
    panel.set(title=kinds, xlabel="pairs trained on", ylabel="error beyond (meV)" if column == 0 else "")
    if column == 0:
        panel.legend(fontsize="xx-small")
figure.savefig(options.out / "dimers.png", dpi=90)

if options.data is None:
    print("set ASE_LODE_DATA or --data to add the BFDb curves")
    raise SystemExit
rows, figure = [], Figure(figsize=(13, 3.2), layout="constrained")
for column, (panel, kinds) in enumerate(zip(figure.subplots(1, len(classes), squeeze=False)[0], classes)):
    curve = published(options.data, kinds)
    near, far = curve[:NEAR_BFDB], curve[NEAR_BFDB:]
    distance, reference, errors = [atoms.info["distance"] for atoms in curve], values(curve), []
    panel.plot(distance, 1e3 * reference, "ko", markersize=3, label="reference")
    for products in ("ρ⊗ρ", "ρ⊗ρ + ρ⊗V", "all"):
        _, line = beyond(f"{kinds}-bfdb", near, curve, products, 1, options.out)
        panel.plot(distance, 1e3 * line, label=products)
        errors.append(1e3 * rmse(line[NEAR_BFDB:], values(far)))
    panel.axvline(distance[NEAR_BFDB - 1], color="0.7")
    panel.set(title=kinds, xlabel="distance (Å)", ylabel="interaction (meV)" if column == 0 else "")
    if column == 0:
        panel.legend(fontsize="xx-small")
    rows.append((kinds, *errors, 1e3 * rmse(0, values(far)), 1e3 * float(np.ptp(reference))))
table(options.out / "bfdb.csv", ("class", "ρ⊗ρ", "ρ⊗ρ + ρ⊗V", "all", "zero", "range"), rows)
figure.savefig(options.out / "bfdb.png", dpi=90)
