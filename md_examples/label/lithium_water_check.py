"""What PBE says where the potential goes: energies and forces of both for structures that `slab/run.py` wrote.

Usage (a minute and a half of one core for each)::

    OMP_NUM_THREADS=1 python lithium_water_check.py ../slab/out/bridge.traj ../slab/out/top.traj
"""

import argparse

import ase.io
import numpy as np
from ase import Atoms
from lithium import BOTTOM, SLAB, in_cell
from lithium_water import labelled

from ase_lode import LODECalculator

parser = argparse.ArgumentParser()
parser.add_argument("files", nargs="+", help="trajectories, of which the last frame counts")
parser.add_argument("--potential", default="water-li100")
options = parser.parse_args()
calc = LODECalculator(options.potential)

for file in options.files:
    atoms = ase.io.read(file, -1)
    atoms.positions[:, 2] += BOTTOM - atoms.positions[:, 2].min()
    surface, water = (Atoms(atoms.numbers[part], atoms.positions[part]) for part in (slice(SLAB), slice(SLAB, None)))
    both, slab, molecule = labelled(in_cell(surface), water, (0,))
    forces = both.get_forces()
    energies = []
    for frame in (both, slab, molecule):
        pbe = frame.get_potential_energy()
        frame.calc = calc
        energies.append((pbe, frame.get_potential_energy()))
    (whole, model), (bound, between) = energies[0], np.dot([1, -1, -1], energies)
    error = 1e3 * np.sqrt(np.mean((both.get_forces() - forces) ** 2))
    print(f"{file}: energy {whole:.3f} eV by PBE, {model:.3f} by the potential; between slab and molecule {bound:.3f}, "
          f"{between:.3f}; forces differ by {error:.0f} meV/Å")
