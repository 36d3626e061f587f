"""Potentials trained on labels of programs that run here against these programs, both by matcalc.

``pip install matcalc tblite pytest``, then ``python tests/benchmarks/teachers.py``: lattice constant, bulk modulus
(equation of state within 3 % of the lattice constant) and phonons (root mean square, relative to the teacher's); at
most 0.5, 5 and 5 %. Metals and an ordered alloy of effective medium theory, phonons on a mesh; rock salt of
GFN1-xTB in the cell of 16 atoms that its labels belong to, phonons at the centre of that cell's zone. Cells of all are
in the training data, the displacements that phonons are made of are not.
"""

import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from matcalc import EOSCalc, PhononCalc

sys.path.insert(0, str(Path(__file__).parents[1] / "physics"))

from test_teachers import ALLOY, SALT, learned, tight_binding

LARGEST = {"lattice constant": 0.005, "bulk modulus": 0.05, "phonons": 0.05}


class Crystal(NamedTuple):
    """A cell near its minimum, its repetitions and the mesh of wave vectors for the phonons."""

    name: str
    atoms: Atoms
    repeat: int
    mesh: int


def metals():
    """Of effective medium theory."""
    alloy = bulk("Cu", a=3.7, cubic=True)
    alloy.symbols[0] = "Al"
    return [Crystal("Cu", bulk("Cu", a=3.6), 3, 8), Crystal("Al", bulk("Al", a=4.0), 3, 8),
            Crystal("Cu3Al", alloy, 2, 8)]


def salt():
    """Of tight binding at the Gamma point of one supercell."""
    return [Crystal("NaCl", bulk("NaCl", "rocksalt", a=5.528) * 2, 1, 1)]


def properties(crystal, calc):
    """Length in Å, bulk modulus in GPa, frequencies in THz."""
    stiffness = EOSCalc(calc, fmax=1e-4, max_abs_strain=0.03, allow_shape_change=False).calc(crystal.atoms)
    repeats = np.eye(3, dtype=int) * crystal.repeat
    phonon = PhononCalc(calc, supercell_matrix=repeats, fmax=1e-4, write_phonon=False).calc(crystal.atoms)["phonon"]
    phonon.run_mesh([crystal.mesh] * 3)
    return (stiffness["final_structure"].volume ** (1 / 3), stiffness["bulk_modulus_bm"],
            np.array(phonon.mesh.frequencies))


def close(crystal, ours, theirs):
    """Print what differs; whether all is close."""
    (length, modulus, modes), (side, stiff, expected) = (properties(crystal, calc) for calc in (ours, theirs))
    errors = {"lattice constant": length / side - 1, "bulk modulus": modulus / stiff - 1,
              "phonons": np.sqrt(np.mean((modes - expected) ** 2) / np.mean(expected**2))}
    print(f"{crystal.name:6s}", ", ".join(f"{what} {error:+.2%}" for what, error in errors.items()),
          f"(bulk modulus {stiff:.1f} GPa, highest mode {expected.max():.2f} THz)", flush=True)
    return all(abs(errors[what]) <= limit for what, limit in LARGEST.items())


def main():
    warnings.simplefilter("ignore")
    good = True
    for recipe, teacher, crystals in ((ALLOY, EMT, metals()), (SALT, tight_binding, salt())):
        with tempfile.TemporaryDirectory() as folder:
            ours = learned(folder, **recipe)
        good &= all([close(crystal, ours, teacher()) for crystal in crystals])
    sys.exit(not good)


if __name__ == "__main__":
    main()
