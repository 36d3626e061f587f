"""Rigid H2O and CO2: density x field is a multipole expansion. Rebuilds table and figure from the shipped labels."""

import sys
from itertools import combinations_with_replacement
from pathlib import Path

import ase.io
import numpy as np
from matplotlib.figure import Figure

from ase_lode import expansions

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "tests"), str(HERE.parents[2] / "tests" / "physics")]
from common import arguments, energies, fitted, rmse, table  # noqa: E402
from test_multipoles import LIGANDS, ideal, misfit, representation, systems  # noqa: E402
from test_multipoles import features as synthetic_features  # noqa: E402

L_MAX = 4
#: Charges in e that make both molecules neutral; every fit sets its own size of the interaction.
CHARGES = {"H": 0.33, "C": 1.32, "O": -0.66}
CENTRES = {"C": 0, "O": 1}
PAIRS = ["-".join(pair) for pair in combinations_with_replacement(("H2O", "CO2"), 2)]
EXPECTED = {"H2O-H2O": -3, "H2O-CO2": -4, "CO2-CO2": -5}
#: Å; where training structures end and begin, and between what slopes are taken.
NEAR, CONTACT, SLOPE = 6.5, 5.0, (30.0, 100.0)
MODEL = {"elements": ["H", "C", "O"], "charges": CHARGES,
         "density": {"cutoff": 3.0, "max_radial": 3, "max_angular": L_MAX},
         "fields": [{"exponent": 1, "max_angular": L_MAX, "sources": "charges", "cutoff_width": 0.5}]}


def synthetic(count):
    """Return what linear fits leave of the energies of ideal multipoles, by their l and the field's."""
    samples = list(systems(LIGANDS, count))
    rows = [synthetic_features(representation(l_max), samples) for l_max in range(L_MAX + 1)]
    return np.array([[misfit(r, [ideal(degree, system) for system in samples]) for r in rows] for degree in range(4)])


def products(atoms):
    """Return Σ_m ρ_anlm V_lm of the two centres, O of H2O and C of CO2, by element of the centre and l (from 1).

    A neutral molecule has no monopole, so l = 0 is left out.
    """
    found = expansions(atoms, MODEL)
    result = np.zeros((len(CENTRES), L_MAX, *found["density"].shape[1:3]))
    for centre in (0, 3):
        density, field = found["density"][centre], found["fields"][0][centre, 0, 0]
        for l in range(1, L_MAX + 1):
            block = slice(l**2, (l + 1) ** 2)
            result[CENTRES[atoms.symbols[centre]], l - 1] += density[..., block] @ field[block]
    return result


def one_centre(rows, reference, l_max):
    """Return weights of all products up to l_max, the smallest that fit best.

    Every l is brought to one size at contact. What then is small is the rounding of positions: odd l of CO2.
    """
    size = CONTACT ** -np.arange(2.0, l_max + 2)[:, None, None]
    used = (rows[:, :, :l_max] / size).reshape(len(rows), -1)
    weights = np.zeros(rows.shape[1:])
    weights[:, :l_max] = np.linalg.lstsq(used, reference, rcond=1e-3)[0].reshape(weights[:, :l_max].shape) / size
    return weights


def pulled(atoms, distance):
    """Return the pair with its second molecule at another distance (Å)."""
    moved = atoms.copy()
    moved.positions[3:, 2] += distance - atoms.info["distance"]
    return moved


def slope(values):
    """Return the power of the distance, from energies at both ends of ``SLOPE``, over many orientations."""
    near, far = (np.sqrt(np.mean(np.square(v))) for v in values)
    return float(np.log(far / near) / np.log(SLOPE[1] / SLOPE[0]))


options = arguments(HERE, __doc__)
frames = ase.io.read(HERE / "pairs_hf.extxyz.gz", ":")
left = synthetic(40 if options.small else 150)
print(f"synthetic multipoles: at most {max(left[d, d:].max() for d in range(4)):.1e} left from the right l on, "
      f"at least {min(left[d, :d].min() for d in range(1, 4)):.2f} below it")

figure = Figure(figsize=(12, 3.6), layout="constrained")
panels = figure.subplots(1, 3)
for degree, values in enumerate(left):
    panels[0].semilogy(values, "o-", label=f"ideal multipole, l = {degree}")
panels[0].set(xlabel="largest l of the field", ylabel="left of the energies (relative)", title="synthetic")
panels[0].legend(fontsize="x-small")
summary = []
for colour, pair in enumerate(PAIRS):
    some = [atoms for atoms in frames if atoms.info["config_type"] == pair][: 32 if options.small else None]
    distance, reference = (np.array([atoms.info[key] for atoms in some]) for key in ("distance", "interaction"))
    near = distance < NEAR
    rows = np.array([products(atoms) for atoms in some])
    ends = [np.array([products(pulled(atoms, end)) for atoms in some[:16]]) for end in SLOPE]
    errors = [1.0]
    for l_max in range(1, L_MAX + 1):
        weights = one_centre(rows[near], reference[near], l_max)
        predicted = np.tensordot(rows, weights, 4)
        errors.append(rmse(predicted[~near], reference[~near]) / rmse(0, reference[~near]))
        inside = rmse(predicted[near], reference[near]) / rmse(0, reference[near])
        power = slope([np.tensordot(end, weights, 4) for end in ends])
        summary.append((pair, f"one centre l {l_max}", inside, errors[-1], power))
    panels[1].semilogy(errors, f"C{colour}o-", label=pair)
    atoms_of = [atoms.copy() for atoms in some]
    potential = fitted(HERE / "train.yaml", f"{pair}", [a for a, n in zip(atoms_of, near) if n], options.out,
                       charges={e: CHARGES[e] for e in sorted(set("".join(pair.split("-"))) & set(CHARGES))})
    predicted = energies(potential, some)
    far_ends = [energies(potential, [pulled(atoms, end) for atoms in some[:16]]) for end in SLOPE]
    summary.append((pair, "all atoms", rmse(predicted[near], reference[near]) / rmse(0, reference[near]),
                    rmse(predicted[~near], reference[~near]) / rmse(0, reference[~near]), slope(far_ends)))
    panels[2].loglog(distance, abs(reference), f"C{colour}o", markersize=3, alpha=0.4)
    panels[2].loglog(distance, abs(predicted), f"C{colour}+", label=pair)
panels[1].set(xlabel="largest l of the field", ylabel="error beyond 6.5 Å (relative)", title="one centre per molecule")
panels[1].legend(fontsize="small")
panels[2].axvline(NEAR, color="0.7")
panels[2].set(xlabel="distance (Å)", ylabel="|interaction| (eV)", title="all atoms (+), reference (o)")
panels[2].legend(fontsize="small")
table(options.out / "errors.csv", ("pair", "model", "near", "far", "slope"), summary)
figure.savefig(options.out / "multipoles.png", dpi=100)
