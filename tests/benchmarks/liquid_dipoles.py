"""Dipoles of liquid water from a response potential that knows two molecules, against those of Wannier centres.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/liquid_dipoles.py [POTENTIAL]``. A molecule's reference dipole is that of
its two protons and of 8 electrons at the displaced centroid of the oxygen; the cell's is their sum. The level of theory
is not the potential's, so the slope need not be 1.
"""

import os
import sys
from pathlib import Path

import ase.io
import numpy as np

from ase_lode import LODECalculator

name = sys.argv[1] if len(sys.argv) > 1 else "water-response"
calc = LODECalculator(name, on_extrapolation="ignore")
found, expected = [], []
for atoms in ase.io.read(Path(os.environ["ASE_LODE_DATA"]) / "water" / "virial_train.xyz", ":"):
    oxygen, hydrogen = (np.flatnonzero(atoms.numbers == z) for z in (8, 1))
    owner = oxygen[atoms.get_all_distances(mic=True)[np.ix_(hydrogen, oxygen)].argmin(axis=1)]
    bonds = np.array([atoms.get_distance(o, h, mic=True, vector=True) for o, h in zip(owner, hydrogen)])
    expected.append(bonds.sum(axis=0) - 8 * atoms.arrays["wannier_centroid_displacement"][oxygen].sum(axis=0))
    atoms.positions[hydrogen] = atoms.positions[owner] + bonds
    found.append(calc.respond(atoms)["dipole"])
found, expected = np.array(found), np.array(expected)
charges = calc.get_property("born_effective_charges", atoms)
print(f"{name}, {len(found)} cells: slope {np.vdot(found, expected) / np.vdot(expected, expected):.2f}, correlation "
      f"{np.corrcoef(found.ravel(), expected.ravel())[0, 1]:.4f}, spread of the reference {expected.std():.2f} e·Å, "
      f"RMSE {np.sqrt(np.mean((found - expected) ** 2)):.2f} e·Å")
means = [np.einsum("iaa->i", charges[atoms.numbers == z]).mean() / 3 for z in (8, 1)]
print(f"mean Born charges of the last cell: O {means[0]:.2f} e, H {means[1]:.2f} e")
