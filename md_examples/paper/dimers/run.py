"""Pairs of charged (C), polar (P) and apolar (A) side chains, beyond the distances of training."""

import os
import re
import sys
from pathlib import Path

import ase.io
import numpy as np
import yaml
from matplotlib.figure import Figure

from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig, read_config
from ase_lode.system import System
from ase_lode.training.fit import penalties
from ase_lode.training.orthogonal import Orthogonal

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import arguments, labelled, rmse, table  # noqa: E402

MODEL = yaml.safe_load((HERE / "train.yaml").read_text(encoding="utf-8"))["model"]
CLASSES = ("CC", "CP", "CA", "PP", "PA", "AA")
#: How many fields a product holds.
PRODUCTS = {"ρ⊗ρ": {0}, "V⊗V": {2}, "ρ⊗V": {1}, "ρ⊗ρ + ρ⊗V": {0, 1}, "all": {0, 1, 2}}
#: Exponents of the fields, and those used together.
EXPONENTS, BOTH = (1, 3, 6), (1, 6)
#: Shares of the pairs of a class to train on, the last quarter tests; distances of each to train on, of 13 and of 10.
SHARES, NEAR, NEAR_BFDB = (0.1, 0.2, 0.4, 0.75), 8, 7
#: Regularisations to choose from by leaving out each pair; one smooth curve without noise takes a fixed one.
STRENGTHS, STRENGTH_BFDB = 10.0 ** np.arange(-12, -2), 1e-8


class Rows:
    """Features of structures once for all models: a model is some of the columns.

    Parameters
    ----------
    frames : list of Atoms
    """

    def __init__(self, frames):
        elements = sorted({symbol for atoms in frames for symbol in atoms.symbols})
        fields = [{"exponent": p, "max_angular": 1, "sources": "elements"} for p in EXPONENTS]
        model = read_config(ModelConfig, {**MODEL, "elements": elements, "fields": fields, "baseline": {}}).resolved()
        representation = Representation(model)
        self.rows = np.array([representation.rows(System.from_atoms(atoms), forces=False, stress=False).energy
                              for atoms in frames])
        self._groups = np.tile(representation.feature_groups, len(elements))
        self._fields = [[EXPONENTS[int(k) - 1] for k in re.findall(r"field (\d)", name)]
                        for name in representation.group_names]

    def predicted(self, energies, train, products, exponents, first=None):
        """Interaction energies (eV) of all structures from those of some.

        Parameters
        ----------
        energies : array, shape (structures,)
        train : array of int
            Which structures train.
        products : str
            Key of `PRODUCTS`.
        exponents : tuple of int
        first : array of int, optional
            Where pairs begin and end in `train`, to leave out each in the choice of the regularisation.
        """
        wanted = [len(found) in PRODUCTS[products] and set(found) <= set(exponents) for found in self._fields]
        columns = np.array(wanted)[self._groups]
        rows = self.rows[:, columns]
        problem = Orthogonal(rows[train], energies[train],
                             penalties((rows[train] ** 2).sum(axis=0), self._groups[columns]))
        strength = STRENGTH_BFDB
        if first is not None:
            strength = min(STRENGTHS, key=lambda s: rmse(problem.leave_out(s, first)[0], 0))
        return rows @ problem.solve(strength)


def alone(curves):
    """Return each molecule of some pairs once, without the other: its interaction is nothing."""
    found = {}
    for pair in (curve[-1] for curve in curves):
        gaps = pair.get_all_distances()
        size = max(range(1, len(pair)), key=lambda n: gaps[:n, n:].min())
        for molecule in (pair[:size], pair[size:]):
            molecule.info = {"interaction": 0.0}
            found.setdefault(molecule.get_chemical_formula(), molecule)
    return list(found.values())


def values(frames, key="interaction"):
    """Return the reference interaction energies (eV)."""
    return np.array([atoms.info[key] for atoms in frames])


def learning(kinds, frames, shares):
    """Return rows of the table of one class."""
    curves = {}
    for atoms in frames:
        curves.setdefault(atoms.info["group"], []).append(atoms)
    curves = list(curves.values())
    single = alone(curves)
    frames = [atoms for curve in curves for atoms in curve]
    rows, energies = Rows(frames + single), values(frames + single)
    index = np.arange(len(frames)).reshape(len(curves), -1)
    unseen = index[round(SHARES[-1] * len(curves)):, NEAR:].ravel()
    spread, result = float(np.std(energies[:len(frames)])), []
    for share in shares:
        count = round(share * len(curves))
        seen = index[:count, NEAR:].ravel()
        train = np.concatenate([index[:count, :NEAR].ravel(), np.arange(len(frames), len(energies))])
        first = np.concatenate([np.arange(count) * NEAR, np.arange(count * NEAR, len(train) + 1)])
        models = [(products, BOTH) for products in PRODUCTS]
        models += [("all", (p,)) for p in EXPONENTS if share == shares[-1]]
        for products, exponents in models:
            predicted = rows.predicted(energies, train, products, exponents, first)
            errors = [1e3 * rmse(guess[at], energies[at]) for at in (seen, unseen)
                      for guess in (predicted, np.zeros(len(energies)))]
            result.append((kinds, products, "+".join(map(str, exponents)), count, *errors, 1e3 * spread))
    return result


def panels(names):
    """Return a figure and its panels, one for each class."""
    figure = Figure(figsize=(13, 3.2), layout="constrained")
    return figure, figure.subplots(1, len(names), squeeze=False)[0]


options = arguments(HERE, __doc__, data={"type": Path, "default": os.environ.get("ASE_LODE_DATA"),
                                         "help": "folder of the BFDb curves (dimers/CC_train.xyz, ...)"})
frames = labelled(HERE / "sidechains_xtb.extxyz.gz")[:40 * 6 * 13 if options.small else None]
classes, shares = (CLASSES[:1], SHARES[1:2]) if options.small else (CLASSES, SHARES)
summary = []
for kinds in classes:
    print(kinds, flush=True)
    summary += learning(kinds, [atoms for atoms in frames if atoms.info["config_type"] == kinds], shares)
table(options.out / "learning.csv", ("class", "products", "exponents", "pairs", "seen_meV", "zero_seen_meV", "RMSE_meV",
                                     "zero_meV", "spread_meV"), summary)

figure, axes = panels(classes)
for panel, kinds in zip(axes, classes):
    for products in PRODUCTS:
        line = [(row[3], row[6]) for row in summary if row[:3] == (kinds, products, "1+6")]
        panel.loglog(*zip(*line), "o-", markersize=3, label=products)
    panel.axhline(next(row[7] for row in summary if row[0] == kinds), color="0.7", label="zero")
    panel.set(title=kinds, xlabel="pairs trained on")
    panel.set_xticks([row[0] for row in line], [row[0] for row in line])
    panel.set_xticks([], minor=True)
axes[0].set_ylabel("error beyond (meV)")
axes[0].legend(fontsize="xx-small")
figure.savefig(options.out / "dimers.png", dpi=90)

if options.data is None:
    print("set ASE_LODE_DATA or --data to add the BFDb curves")
    raise SystemExit
rows, (figure, axes) = [], panels(classes)
for panel, kinds in zip(axes, classes):
    curve = ase.io.read(Path(options.data) / "dimers" / f"{kinds}_train.xyz", ":")
    features, reference, distance = Rows(curve), values(curve, "inter_energy"), values(curve, "distance")
    far, errors = slice(NEAR_BFDB, None), []
    panel.plot(distance, 1e3 * reference, "ko", markersize=3, label="reference")
    for products in ("ρ⊗ρ", "ρ⊗ρ + ρ⊗V", "all"):
        line = features.predicted(reference, np.arange(NEAR_BFDB), products, BOTH)
        panel.plot(distance, 1e3 * line, label=products)
        errors.append(1e3 * rmse(line[far], reference[far]))
    panel.axvline(distance[NEAR_BFDB - 1], color="0.7")
    panel.set(title=kinds, xlabel="distance (Å)")
    rows.append((kinds, *errors, 1e3 * rmse(0, reference[far]), 1e3 * float(np.ptp(reference))))
axes[0].set_ylabel("interaction (meV)")
axes[0].legend(fontsize="xx-small")
table(options.out / "bfdb.csv", ("class", "ρ⊗ρ", "ρ⊗ρ + ρ⊗V", "all", "zero", "range"), rows)
figure.savefig(options.out / "bfdb.png", dpi=90)
