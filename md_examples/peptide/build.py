"""How `peptide.xyz` was made: standard bond lengths and angles, atom by atom, relaxed with GFN1-xTB (needs tblite)."""

import numpy as np
from ase import Atoms
from ase.constraints import FixBondLengths
from ase.optimize import FIRE
from tblite.ase import TBLite

# Name, then bonded atom and length (Å), second atom and angle, third atom and torsion (degrees): ACE-GLU-LYS-NME,
# folded so that the charged side chains, -1 and +1, meet; both residues L. The element is the first letter.
TABLE = """
C1
C2   C1 1.52
O2   C2 1.23 C1 121
NA   C2 1.34 C1 116 O2  180
CA   NA 1.45 C2 122 C1  180
CA'  CA 1.53 NA 110 C2 -68
OA'  CA' 1.23 CA 121 NA 143
NB   CA' 1.34 CA 116 NA -37
CB   NB 1.45 CA' 122 CA 180
CB'  CB 1.53 NB 110 CA' -141
OB'  CB' 1.23 CB 121 NB -91
NM   CB' 1.34 CB 116 NB 89
CM   NM 1.45 CB' 122 CB 180
CAB  CA 1.54 NA 110 C2 170
CAG  CAB 1.53 CA 113 NA 179
CAD  CAG 1.53 CAB 113 CA -178
OA1  CAD 1.26 CAG 117 CAB 82
OA2  CAD 1.26 CAG 117 CAB -98
CBB  CB 1.53 NB 110 CA' 97
CBG  CBB 1.53 CB 113 NB -73
CBD  CBG 1.53 CBB 112 CB 175
CBE  CBD 1.53 CBG 112 CBB -48
NBZ  CBE 1.50 CBD 111 CBG -60
H11  C1 1.09 C2 110 O2 0
H12  C1 1.09 C2 110 O2 120
H13  C1 1.09 C2 110 O2 240
HNA  NA 1.01 C2 119 C1 0
HA   CA 1.09 NA 109 C2 51
HA1  CAB 1.09 CA 109 NA -61
HA2  CAB 1.09 CA 109 NA 59
HA3  CAG 1.09 CAB 109 CA -58
HA4  CAG 1.09 CAB 109 CA 62
HNB  NB 1.01 CA' 119 CA 0
HB   CB 1.09 NB 109 CA' -22
HB1  CBB 1.09 CB 109 NB 47
HB2  CBB 1.09 CB 109 NB 167
HG1  CBG 1.09 CBB 109 CB -65
HG2  CBG 1.09 CBB 109 CB 55
HD1  CBD 1.09 CBG 109 CBB 72
HD2  CBD 1.09 CBG 109 CBB -168
HE1  CBE 1.09 CBD 109 CBG 60
HE2  CBE 1.09 CBD 109 CBG 180
HZ1  NBZ 1.03 CBE 111 CBD 60
HZ2  NBZ 1.03 CBE 111 CBD 180
HZ3  NBZ 1.03 CBE 111 CBD 300
HNM  NM 1.01 CB' 119 CB 0
HM1  CM 1.09 NM 110 CB' 60
HM2  CM 1.09 NM 110 CB' 180
HM3  CM 1.09 NM 110 CB' 300
"""


def place(a, length, b, angle, c, torsion):
    """Position at a distance from `a`, at an angle with `b` and a torsion with `c`."""
    angle, torsion = np.radians([angle, torsion])
    along, back = a - b, b - c
    along /= np.linalg.norm(along)
    normal = np.cross(back, along)
    normal /= np.linalg.norm(normal)
    side = np.cross(normal, along)
    return a + length * (-np.cos(angle) * along + np.sin(angle) * (np.cos(torsion) * side + np.sin(torsion) * normal))


at = {}
for name, *entry in map(str.split, TABLE.strip().splitlines()):
    values = [at[word] if word in at else float(word) for word in entry]
    # The first three atoms lack neighbours to lean on; any direction serves.
    values += [np.zeros(3), 0.0, np.array([1.0, 0, 0]), 90.0, np.array([0, 1.0, 0]), 180.0][len(values):]
    at[name] = place(*values)
atoms = Atoms([name[0] for name in at], list(at.values()))
# In vacuum the ammonium group would give a proton away; its bonds are kept.
nitrogen = list(at).index("NBZ")
atoms.set_constraint(FixBondLengths([(nitrogen, list(at).index(name)) for name in ("HZ1", "HZ2", "HZ3")]))
atoms.calc = TBLite(method="GFN1-xTB", verbosity=0)
FIRE(atoms, maxstep=0.05).run(fmax=0.05, steps=400)
atoms.calc = None
atoms.set_constraint()
atoms.positions -= atoms.get_center_of_mass()
atoms.write("peptide.xyz", format="xyz", comment="ACE-GLU-LYS-NME", fmt="%12.5f")
