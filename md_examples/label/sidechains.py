"""Pairs of side chains, charged (C), polar (P) and apolar (A), rigid and pulled apart, isolated, with GFN1-xTB.

Usage (minutes; interrupted, run it again)::

    OMP_NUM_THREADS=1 python sidechains.py

Ions of a pair have equal charges: far apart, GFN1-xTB takes the electron from an anion to a cation.
"""

from functools import partial
from itertools import combinations_with_replacement

from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed
from batches import fill, random_of
from dimers import APART, CONTACT, acetate, closest, formate, guanidinium, lifted, methylammonium, relaxed, turned
from labels import POSITION_DECIMALS
from levels import LEVELS

LEVEL = "GFN1-xTB"
#: Pairs of each class.
PAIRS = 200


#: Molecules of each kind, and their charges in e.
KINDS = {
    "C": ((acetate, -1), (formate, -1), (methylammonium, 1), (guanidinium, 1)),
    "P": ((partial(molecule, "CH3CONH2"), 0), (partial(molecule, "CH3OH"), 0), (partial(molecule, "H2O"), 0),
          (partial(molecule, "CH3CH2OH"), 0), (partial(molecule, "CH3SH"), 0)),
    "A": ((partial(molecule, "CH4"), 0), (partial(molecule, "C2H6"), 0), (partial(molecule, "C3H8"), 0),
          (partial(molecule, "isobutane"), 0), (partial(molecule, "C6H6"), 0)),
}


def curve(group, kinds):
    """Return one pair drawn at random, in a random orientation, at all distances; drawn again if a label fails."""
    random = random_of(group)
    while True:
        first, second = drawn(kinds, random)
        (a, energy_a), (b, energy_b) = relaxed(*first), relaxed(*second)
        a, b = turned(a, random), turned(b, random)
        start = 2.0
        while closest(a, lifted(b, start)) < CONTACT:
            start += 0.01
        charge = first[1] + second[1]
        try:
            return [frame(a + lifted(b, start + apart), charge, energy_a + energy_b, config_type=kinds, group=group,
                          distance=round(start + apart, 5)) for apart in APART]
        except CalculationFailed:
            continue


def drawn(kinds, random):
    """Return two molecules, of equal charge if both are ions."""
    first, second = (KINDS[kind] for kind in kinds)
    one = first[random.integers(len(first))]
    partners = [other for other in second if one[1] * other[1] >= 0]
    return one, partners[random.integers(len(partners))]


def frame(pair, charge, alone, **info):
    """Return a pair with its interaction energy, given the energy of the two alone (eV)."""
    stored = Atoms(pair.symbols, pair.positions.round(POSITION_DECIMALS))
    probe = stored.copy()
    probe.calc = LEVELS[LEVEL]()
    probe.calc.set(charge=charge)
    stored.info = info | {"charge": charge, "interaction": round(probe.get_potential_energy() - alone, 6),
                          "method": LEVEL}
    return stored


if __name__ == "__main__":
    classes = ["".join(pair) for pair in combinations_with_replacement("CPA", 2)]
    work = {f"{kinds}-{n}": partial(curve, f"{kinds}-{n}", kinds) for n in range(PAIRS) for kinds in classes}
    fill("../paper/dimers/sidechains_xtb.extxyz.gz", work)
