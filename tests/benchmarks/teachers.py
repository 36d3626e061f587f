"""A potential trained on labels of effective medium theory against that theory, both by matcalc.

``pip install matcalc``, then ``python tests/benchmarks/teachers.py``: lattice constant, bulk modulus (equation of
state within 3 % of the lattice constant) and phonons on a mesh (root mean square, relative to that of the teacher's)
of the metals and an ordered alloy; at most 0.5, 5 and 5 %. The cells of all are in the training data, the vibrations
of none are.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from matcalc import EOSCalc, PhononCalc

sys.path.insert(0, str(Path(__file__).parents[1] / "physics"))

from test_teachers import ALLOY, learned

LARGEST = {"lattice constant": 0.005, "bulk modulus": 0.05, "phonons": 0.05}


def crystals():
    """Primitive cells near their minimum, and repetitions for the phonons."""
    alloy = bulk("Cu", a=3.7, cubic=True)
    alloy.symbols[0] = "Al"
    return {"Cu": (bulk("Cu", a=3.6), 3), "Al": (bulk("Al", a=4.0), 3), "Cu3Al": (alloy, 2)}


def properties(crystal, repeat, calc):
    """Length in Å, bulk modulus in GPa, frequencies in THz."""
    stiffness = EOSCalc(calc, fmax=1e-4, max_abs_strain=0.03, allow_shape_change=False).calc(crystal)
    phonon = PhononCalc(calc, supercell_matrix=np.eye(3, dtype=int) * repeat, fmax=1e-4, write_phonon=False)
    phonon = phonon.calc(crystal)["phonon"]
    phonon.run_mesh([8, 8, 8])
    return (stiffness["final_structure"].volume ** (1 / 3), stiffness["bulk_modulus_bm"],
            np.array(phonon.mesh.frequencies))


def main():
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        ours = learned(folder, "cual_emt.extxyz", ALLOY, stress=100.0)
    good = True
    for name, (crystal, repeat) in crystals().items():
        (length, modulus, modes), (side, stiff, expected) = (properties(crystal, repeat, calc)
                                                             for calc in (ours, EMT()))
        errors = {"lattice constant": length / side - 1, "bulk modulus": modulus / stiff - 1,
                  "phonons": np.sqrt(np.mean((modes - expected) ** 2) / np.mean(expected**2))}
        good &= all(abs(errors[what]) <= limit for what, limit in LARGEST.items())
        print(f"{name:6s}", ", ".join(f"{what} {error:+.2%}" for what, error in errors.items()),
              f"(bulk modulus {stiff:.1f} GPa, highest mode {expected.max():.2f} THz)", flush=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
