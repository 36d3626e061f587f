"""How far the energy of two distant molecules is from the sum of theirs: what the even shift of charges costs.

    python tests/benchmarks/size_consistency.py [--potential dipeptides] [--data FOLDER]

Strengths that source 1/r are shifted evenly so that they add up to the total charge. The shift of a molecule is its
charges' raw sum over its number of atoms; together, two molecules share one shift. The interaction of the labels'
dipoles at the same distance is printed beside it: what should remain.
"""

import argparse

import numpy as np
from ase.io import read

from ase_lode import LODECalculator
from ase_lode.training.dataset import find_file

DISTANCES = (50.0, 100.0, 200.0, 400.0)
PAIRS = 10


def main():
    """Print the root mean square over pairs of validation molecules."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--potential", default="dipeptides")
    parser.add_argument("--data")
    options = parser.parse_args()
    frames = read(find_file("dipeptides/validation.xyz", data_folder=options.data), f":{2 * PAIRS}")
    calc = LODECalculator(options.potential, on_extrapolation="ignore")
    for atoms in frames:
        atoms.pbc = False
        atoms.positions -= atoms.positions.mean(axis=0)
    alone = [energy_and_dipole(calc, atoms) for atoms in frames]
    print("distance Å   E(AB) - E(A) - E(B), meV   dipole-dipole energy, meV   (root mean squares)")
    for distance in DISTANCES:
        found, dipolar = [], []
        for (a, b), ((ea, ma), (eb, mb)) in zip(zip(frames[::2], frames[1::2]), zip(alone[::2], alone[1::2])):
            pair = a.copy()
            other = b.copy()
            other.positions[:, 2] += distance
            pair += other
            found.append(energy_and_dipole(calc, pair)[0] - ea - eb)
            dipolar.append(14.3996 * (ma @ mb - 3 * ma[2] * mb[2]) / distance**3)
        print(f"{distance:10.0f} {1e3 * np.sqrt(np.mean(np.square(found))):24.3f} "
              f"{1e3 * np.sqrt(np.mean(np.square(dipolar))):26.3f}")


def energy_and_dipole(calc, atoms):
    """Energy in eV, and the dipole of the labels in e·Å (0 for a pair, where it is not used)."""
    return calc.get_potential_energy(atoms), np.ravel(atoms.info.get("dipole", getattr(atoms.calc, "results", {}).get(
        "dipole", np.zeros(3))))


if __name__ == "__main__":
    main()
