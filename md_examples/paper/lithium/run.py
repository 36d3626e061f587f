"""H2O and CO2 over Li(100): trained below a height, tested above, with and without fields."""

import re
import sys
from pathlib import Path

import numpy as np
import yaml
from ase import Atoms
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar

from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig, read_config
from ase_lode.system import System
from ase_lode.training.fit import penalties
from ase_lode.training.orthogonal import Orthogonal

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import arguments, labelled, rmse, table  # noqa: E402

MODEL = yaml.safe_load((HERE / "train.yaml").read_text(encoding="utf-8"))["model"]
ALL = tuple(MODEL["elements"])
#: Cutoff of the density (Å), exponents of the fields and atoms that carry energy.
MODELS = {"short range": (4.0, (), ALL), "p = 1": (4.0, (1,), ("Li",)), "p = 6": (4.0, (6,), ("Li",)),
          "multi-scale": (4.0, (1, 6), ("Li",)), "multi-scale all atoms": (4.0, (1, 6), ALL),
          "short range 6 Å": (6.0, (), ALL)}
DRAWN = ("short range", "multi-scale")
SLAB = 32
#: Heights of O or C above the top layer (Å): training ends; most energies have ended; a molecule is known to feel
#: nothing; its features are those of a molecule alone; classical images have their plane.
BELOW, TAIL, AWAY, APART, PLANE = 4.5, 6.3, 10.0, 40.0, 1.6
#: Orientations from this one on were labelled when the models had been chosen; they judge them anew and train none.
CHOSEN = 20
#: Regularisations, chosen by leaving out the highest one, two, ... heights of training.
STRENGTHS, LEFT_OUT = 10.0 ** np.arange(-11, -3), 3
#: Half the step of slopes of the features (Å), and the fields' relative error, which a weak regularisation amplifies.
STEP, TOLERANCE = 0.02, 1e-9
#: e²/4πε0 in eV Å.
COULOMB = 14.399645


class Rows:
    """Features less those of slab and molecule alone, for all models of one density.

    Parameters
    ----------
    frames : list of Atoms
    cutoff : float
        Of the density.
    exponents : set of int
        Of the fields.
    """

    def __init__(self, frames, cutoff, exponents):
        fields = [field for field in MODEL["fields"] if field["exponent"] in exponents]
        model = read_config(ModelConfig, MODEL | {"density": MODEL["density"] | {"cutoff": cutoff}, "fields": fields})
        self._representation = Representation(model.resolved(), TOLERANCE)
        groups = self._representation.feature_groups
        self._groups, self._centres = np.tile(groups, len(ALL)), np.repeat(ALL, len(groups))
        self._fields = [{fields[int(k) - 1]["exponent"] for k in re.findall(r"field (\d)", name)}
                        for name in self._representation.group_names]
        curves = {atoms.info["group"]: atoms for atoms in frames}
        self._apart = {group: self._features(lifted(atoms, APART)) for group, atoms in curves.items()}
        self.energy = np.array([self.of(atoms) for atoms in frames])
        self.slope = np.array([self._slope(atoms) for atoms in frames])
        self._away = {group: self.of(atoms, AWAY) for group, atoms in curves.items()}

    def _features(self, atoms):
        return self._representation.rows(System.from_atoms(atoms), forces=False, stress=False).energy

    def of(self, atoms, height=None):
        """Return the features of a structure, its molecule moved to a height."""
        height = atoms.info["height"] if height is None else height
        return self._features(lifted(atoms, height)) - self._apart[atoms.info["group"]]

    def _slope(self, atoms):
        up, down = (self.of(atoms, atoms.info["height"] + step) for step in (STEP, -STEP))
        return (up - down) / (2 * STEP)

    def weights(self, exponents, centres, frames, energies, slopes, train):
        """Weights of a model, one row for each of `STRENGTHS`.

        Parameters
        ----------
        exponents : tuple of int
        centres : tuple of str
            Elements of the atoms that carry energy.
        frames : list of Atoms
        energies, slopes : array
            Labels (eV, eV/Å).
        train : array of int
            Which structures train, besides their molecules far away.
        """
        columns = np.array([fields <= set(exponents) for fields in self._fields])[self._groups]
        columns &= np.isin(self._centres, centres)
        away = np.array([self._away[group] for group in {frames[index].info["group"]: None for index in train}])
        rows = np.concatenate([self.energy[train], self.slope[train], away])[:, columns]
        targets = np.concatenate([energies[train], slopes[train], np.zeros(len(away))])
        problem = Orthogonal(rows, targets, penalties((rows**2).sum(axis=0), self._groups[columns]))
        result = np.zeros((len(STRENGTHS), len(columns)))
        result[:, columns] = [problem.solve(strength) for strength in STRENGTHS]
        return result


def lifted(atoms, height):
    """Return the structure with its molecule at another height (Å)."""
    moved = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    moved.positions[SLAB:, 2] += height - atoms.info["height"]
    return moved


def image(atoms):
    """Return the energy (eV) of the molecule's charges over a perfect conductor, with all lateral images.

    -(πk/A) Σ_G≠0 |Σ_i q_i exp(iG·r_i) exp(-G z_i)|² / G, z from the image plane: the layer as a whole has no field.
    """
    molecule, top = atoms[SLAB:], atoms.positions[:SLAB, 2].max()
    side = atoms.cell[0, 0]
    n = np.arange(-12, 13)
    waves = np.array([(a, b) for a in n for b in n if a or b]) * 2 * np.pi / side
    size = np.linalg.norm(waves, axis=1)
    charges = np.array([MODEL["charges"][symbol] for symbol in molecule.symbols])
    height = molecule.positions[:, 2] - top - PLANE
    sums = (np.exp(1j * waves @ molecule.positions[:, :2].T - np.outer(size, height)) * charges).sum(axis=1)
    return -np.pi * COULOMB / side**2 * np.sum(abs(sums) ** 2 / size)


def strengths(n, heights, energies, curves):
    """Return the A of E = A (height - PLANE)^n for each curve, by least squares, and the squared error left."""
    found, left = [], 0.0
    for curve in np.unique(curves):
        law, e = (heights[curves == curve] - PLANE) ** n, energies[curves == curve]
        found.append(law @ e / (law @ law))
        left += np.sum((e - law * found[-1]) ** 2)
    return np.array(found), left


def power(heights, energies, curves):
    """Return the n of E = A (height - PLANE)^n with one A for each curve, by least squares."""
    return float(minimize_scalar(lambda n: strengths(n, heights, energies, curves)[1], bounds=(-20, -1),
                                 method="bounded").x)


options = arguments(HERE, __doc__)
frames = labelled(HERE / "lithium_pbe.extxyz.gz")[:24 if options.small else None]
height, curve, kind = (np.array([atoms.info[key] for atoms in frames]) for key in ("height", "group", "config_type"))
energies = np.array([atoms.get_potential_energy() for atoms in frames])
#: The slab's net force is how the energy rises with the height of the molecule; its own force carries the grid's noise.
slopes = np.array([atoms.get_forces()[:SLAB, 2].sum() for atoms in frames])
fresh = np.array([int(name.split("-")[1]) >= CHOSEN for name in curve])
kinds, above = sorted(set(kind)), height >= BELOW
near = ~above & ~fresh
labels = frames, energies, slopes
features, fitted, predicted, summary, anew = {}, {}, {}, [], []
for name, (cutoff, *model) in MODELS.items():
    if cutoff not in features:
        features[cutoff] = Rows(frames, cutoff, {p for c, powers, _ in MODELS.values() if c == cutoff for p in powers})
    rows, left_out = features[cutoff], {}
    for one in kinds:
        here = near & (kind == one)
        left_out[one] = []
        for top in np.unique(height[here])[-LEFT_OUT:]:
            weights = rows.weights(*model, *labels, np.flatnonzero(here & (height < top)))
            judged = here & (height >= top)
            left_out[one].append([rmse(line, energies[judged]) / rmse(0, energies[judged])
                                  for line in weights @ rows.energy[judged].T])
        left_out[one] = np.log(left_out[one]).mean(axis=0)
    best = np.argmin(sum(left_out.values()))
    fitted[name] = {one: rows.weights(*model, *labels, np.flatnonzero(near & (kind == one)))[best]
                    for one in kinds}
    weights = np.array([fitted[name][one] for one in kind])
    predicted[name], slope = (weights * rows.energy).sum(axis=1), (weights * rows.slope).sum(axis=1)
    for one in kinds:
        far, tail = (some & (kind == one) & ~fresh for some in (above, height > TAIL))
        found = [power(height[far], e[far], curve[far]) for e in (predicted[name], energies)]
        errors = [1e3 * rmse(guess[some], energies[some]) for some in (far, tail)
                  for guess in (predicted[name], np.zeros(len(energies)))]
        errors += [1e3 * rmse(guess[far], slopes[far]) for guess in (slope, np.zeros(len(slopes)))]
        turned = [strengths(found[1], height[far], e[far], curve[far])[0] for e in (predicted[name], energies)]
        summary.append((name, one, int((near & (kind == one)).sum()), int(far.sum()),
                        float(np.exp(left_out[one][best])), *errors, *found, float(np.corrcoef(turned)[0, 1])))
        far = above & (kind == one) & fresh
        if far.any():
            anew.append((name, one, int(far.sum()), 1e3 * rmse(predicted[name][far], energies[far]),
                         1e3 * rmse(0, energies[far]),
                         *(power(height[far], e[far], curve[far]) for e in (predicted[name], energies))))
table(options.out / "fresh.csv", ("model", "molecule", "far", "far_meV", "zero_meV", "power", "power_ref"), anew)
table(options.out / "errors.csv", ("model", "molecule", "near", "far", "left_out", "far_meV", "zero_meV", "tail_meV",
                                   "tail_zero", "force_meV_A", "force_zero", "power", "power_ref",
                                   "orientations"), summary)

figure = Figure(figsize=(4.2 * (len(kinds) + 1), 3.6), layout="constrained")
panels = figure.subplots(1, len(kinds) + 1)
scan = np.linspace(2.5, 9, 5 if options.small else 53)
for panel, one in zip(panels, kinds):
    first = frames[np.flatnonzero(kind == one)[0]]
    panel.plot(height[kind == one], 1e3 * energies[kind == one], "o", color="0.8", markersize=3, label="PBE, all")
    panel.plot(height[curve == first.info["group"]], 1e3 * energies[curve == first.info["group"]], "ko", markersize=4,
               label="PBE, first orientation")
    for name in DRAWN:
        rows = features[MODELS[name][0]]
        panel.plot(scan, [1e3 * rows.of(first, z) @ fitted[name][one] for z in scan], label=name)
    panel.plot(scan[scan > 3.5], [1e3 * image(lifted(first, z)) for z in scan[scan > 3.5]], "k:",
               label="classical images")
    panel.axvline(BELOW, color="0.7")
    panel.set(title=one, xlabel="height (Å)", ylabel="interaction (meV)", ylim=(-80, 20))
panels[0].legend(fontsize="x-small")
for name, mark in zip(DRAWN, "x+"):
    panels[-1].plot(1e3 * energies[above], 1e3 * predicted[name][above], mark, label=name)
panels[-1].axline((0, 0), slope=1, color="0.7")
panels[-1].set(title=f"above {BELOW} Å", xlabel="PBE (meV)", ylabel="model (meV)")
panels[-1].legend(fontsize="x-small")
figure.savefig(options.out / "lithium.png", dpi=100)
