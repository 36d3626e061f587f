"""H2O and CO2 over Li(100): trained below a height, tested above, with and without the field."""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from matplotlib.figure import Figure

from ase_lode import LODECalculator

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import arguments, fitted, labelled, rmse, table  # noqa: E402

SLAB = 32
#: Training ends at this height of O or C above the top layer, the image plane is where classical images put it (Å).
BELOW, PLANE = 4.5, 1.6
CHARGES = {"Li": 0.0, "H": 0.38, "C": 1.52, "O": -0.76}
MODELS = {"short range": [], "multi-scale": [{"exponent": 1, "max_angular": 2, "sources": "charges"}]}
#: e²/4πε0 in eV Å.
COULOMB = 14.399645


def references(frames):
    """Return the slab and the molecules alone, whose interaction is nothing."""
    parts = [frames[0][:SLAB], *{atoms.info["config_type"]: atoms[SLAB:] for atoms in frames}.values()]
    for atoms in parts:
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((len(atoms), 3)))
    return parts


def image(atoms):
    """Return the energy (eV) of the molecule's charges over a perfect conductor, with all lateral images.

    -(πk/A) Σ_G≠0 |Σ_i q_i exp(iG·r_i) exp(-G z_i)|² / G, z from the image plane: the layer as a whole has no field.
    """
    molecule, top = atoms[SLAB:], atoms.positions[:SLAB, 2].max()
    side = atoms.cell[0, 0]
    n = np.arange(-12, 13)
    waves = np.array([(a, b) for a in n for b in n if a or b]) * 2 * np.pi / side
    size = np.linalg.norm(waves, axis=1)
    charges = np.array([CHARGES[symbol] for symbol in molecule.symbols])
    height = molecule.positions[:, 2] - top - PLANE
    sums = (np.exp(1j * waves @ molecule.positions[:, :2].T - np.outer(size, height)) * charges).sum(axis=1)
    return -np.pi * COULOMB / side**2 * np.sum(abs(sums) ** 2 / size)


def powers(frames, energies):
    """Return powers of the height above the image plane, one for each curve with points of one sign above ``BELOW``."""
    found = []
    for group in sorted({atoms.info["group"] for atoms in frames}):
        points = [(atoms.info["height"] - PLANE, e) for atoms, e in zip(frames, energies)
                  if atoms.info["group"] == group and atoms.info["height"] > BELOW]
        (z, e) = np.array(sorted(points)).T if len(points) > 1 else (None, np.zeros(1))
        if e.all() and abs(np.sign(e).sum()) == len(e):
            found.append(np.polyfit(np.log(z), np.log(abs(e)), 1)[0])
    return found


def lifted(atoms, heights):
    """Return the structure with its molecule at other heights (Å)."""
    for height in heights:
        moved = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        moved.positions[SLAB:, 2] += height - atoms.info["height"]
        yield moved


options = arguments(HERE, __doc__)
frames = labelled(HERE / "lithium_pbe.extxyz.gz")[:6 if options.small else None]
height = np.array([atoms.info["height"] for atoms in frames])
reference = np.array([atoms.get_potential_energy() for atoms in frames])
forces = [atoms.get_forces()[SLAB:] for atoms in frames]
kinds = np.array([atoms.info["config_type"] for atoms in frames])
near = height < BELOW
train = [atoms for atoms, use in zip(frames, near) if use] + references(frames)
predicted, summary, scans = {}, [], {}
scan_heights = np.linspace(2.5, 9, 5 if options.small else 53)
starts = {kind: next(atoms for atoms in frames if atoms.info["config_type"] == kind) for kind in sorted(set(kinds))}
for name, fields in MODELS.items():
    potential = fitted(HERE / "train.yaml", name.replace(" ", "-"), train, options.out, fields=fields)
    calc = LODECalculator(potential, on_extrapolation="ignore")
    results = calc.predict(frames)
    predicted[name] = np.array([result["energy"] for result in results])
    scans[name] = {kind: [result["energy"] for result in calc.predict(lifted(atoms, scan_heights), ("energy",))]
                   for kind, atoms in starts.items()}
    for kind in starts:
        here = ~near & (kinds == kind)
        if not here.any():
            continue
        some = [atoms for atoms, use in zip(frames, kinds == kind) if use]
        power = [np.median(found) if (found := powers(some, e[kinds == kind])) else np.nan
                 for e in (predicted[name], reference)]
        pulls = np.concatenate([f for f, use in zip(forces, here) if use])
        force_error = rmse(np.concatenate([r["forces"][SLAB:] for r, use in zip(results, here) if use]), pulls)
        summary.append((name, kind, int(near[kinds == kind].sum()), int(here.sum()),
                        1e3 * rmse(predicted[name][here], reference[here]), 1e3 * rmse(0, reference[here]),
                        1e3 * force_error, 1e3 * rmse(pulls, 0), float(power[0]), float(power[1])))
table(options.out / "errors.csv", ("model", "molecule", "near", "far", "far_meV", "zero_meV", "force_meV_A",
                                   "force_zero", "power", "power_ref"), summary)

figure = Figure(figsize=(4.2 * (len(starts) + 1), 3.6), layout="constrained")
panels = figure.subplots(1, len(starts) + 1)
for panel, (kind, atoms) in zip(panels, starts.items()):
    here = kinds == kind
    panel.plot(height[here], 1e3 * reference[here], "ko", markersize=3, label="PBE, all orientations")
    for name in MODELS:
        panel.plot(scan_heights, 1e3 * np.array(scans[name][kind]), label=name)
    away = scan_heights > 3.5
    panel.plot(scan_heights[away], [1e3 * image(moved) for moved in lifted(atoms, scan_heights[away])], "k:",
               label="classical images")
    panel.axvline(BELOW, color="0.7")
    panel.set(title=f"{kind}, first orientation", xlabel="height (Å)", ylabel="interaction (meV)", ylim=(-60, 20))
panels[0].legend(fontsize="x-small")
for name, mark in zip(MODELS, "x+"):
    panels[-1].plot(1e3 * reference[~near], 1e3 * predicted[name][~near], mark, label=name)
panels[-1].axline((0, 0), slope=1, color="0.7")
panels[-1].set(title=f"above {BELOW} Å", xlabel="PBE (meV)", ylabel="model (meV)")
panels[-1].legend(fontsize="x-small")
figure.savefig(options.out / "lithium.png", dpi=100)
