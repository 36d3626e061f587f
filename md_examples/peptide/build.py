"""How `peptide.xyz` was made: standard bond lengths and angles atom by atom, relaxed with GFN1-xTB (pip install tblite)."""

import numpy as np
from ase import Atoms
from ase.optimize import LBFGS
from tblite.ase import TBLite

# Symbol, then bonded atom and length (Å), second atom and angle, third atom and torsion (degrees).
PHI, PSI = -80, 70
ATOMS = [
    ("C",), ("C", 0, 1.52), ("O", 1, 1.23, 0, 121), ("N", 1, 1.34, 0, 116, 2, 180),        # CH3-CO-NH of the first cap
    ("C", 3, 1.45, 1, 122, 0, 180), ("C", 4, 1.53, 3, 110, 1, PHI), ("O", 5, 1.23, 4, 121, 3, PSI + 180),
    ("N", 5, 1.34, 4, 116, 3, PSI), ("C", 7, 1.45, 5, 122, 4, 180), ("C", 4, 1.53, 3, 110, 1, PHI - 122),
    ("H", 0, 1.09, 1, 110, 2, 0), ("H", 0, 1.09, 1, 110, 2, 120), ("H", 0, 1.09, 1, 110, 2, 240),
    ("H", 3, 1.01, 1, 119, 0, 0), ("H", 4, 1.09, 3, 109, 1, PHI + 119), ("H", 7, 1.01, 5, 119, 4, 0),
    ("H", 8, 1.09, 7, 110, 5, 60), ("H", 8, 1.09, 7, 110, 5, 180), ("H", 8, 1.09, 7, 110, 5, 300),
    ("H", 9, 1.09, 4, 110, 3, 60), ("H", 9, 1.09, 4, 110, 3, 180), ("H", 9, 1.09, 4, 110, 3, 300),
]


def place(a, b, c, length, angle, torsion):
    """Position at a distance from `a`, at an angle with `b` and a torsion with `c`."""
    angle, torsion = np.radians([angle, torsion])
    along = (a - b) / np.linalg.norm(a - b)
    normal = np.cross(b - c, along)
    normal /= np.linalg.norm(normal)
    side = np.cross(normal, along)
    return a + length * (-np.cos(angle) * along + np.sin(angle) * (np.cos(torsion) * side + np.sin(torsion) * normal))


positions = [np.zeros(3), np.array([1.52, 0, 0])]
for symbol, *where in ATOMS[2:]:
    points = [positions[k] for k in where[::2]] + [np.array([0.0, 1.0, 0.0])] * (len(where) < 6)
    positions.append(place(*points, *(where[1::2] + [0])[:3]))
atoms = Atoms([symbol for symbol, *_ in ATOMS], positions)
atoms.calc = TBLite(method="GFN1-xTB", verbosity=0)
LBFGS(atoms).run(fmax=0.01)
atoms.calc = None
atoms.positions -= atoms.get_center_of_mass()
atoms.write("peptide.xyz", format="xyz", comment="ACE-ALA-NME, alanine dipeptide", fmt="%12.5f")
