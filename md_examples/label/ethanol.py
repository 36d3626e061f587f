"""Ethanol at 500 K, from eight trajectories with GFN1-xTB: energies, forces, dipoles, Mulliken charges.

Usage (about three minutes; interrupted, run it again)::

    OMP_NUM_THREADS=1 python ethanol.py
"""

from functools import partial

from ase.build import molecule
from batches import fill, random_of
from labels import label
from sampling import snapshots

LEVEL = "GFN1-xTB"
PROPERTIES = ("energy", "forces", "dipole", "charges")
#: Torsion C-C-O-H of the start (degrees): anti, and the two gauche forms.
TORSIONS = {"anti": 180, "gauche+": 60, "gauche-": -60}
#: Those four atoms in ASE's ethanol.
BACKBONE = (0, 1, 2, 3)


def trajectory(group, torsion):
    """Return 25 labelled snapshots, 0.1 ps apart, after 0.5 ps that are dropped."""
    start = molecule("CH3CH2OH")
    start.set_dihedral(*BACKBONE, torsion, indices=BACKBONE[-1:])
    frames = snapshots(start, LEVEL, 500, random_of(group), count=25, every=200, discard=1000, timestep_fs=0.5)
    for atoms in frames:
        atoms.positions -= atoms.get_center_of_mass()
    return [label(atoms, LEVEL, PROPERTIES, config_type="md", group=group) for atoms in frames]


if __name__ == "__main__":
    starts = [(f"{form}-{turn}", TORSIONS[form]) for turn in (1, 2, 3) for form in TORSIONS][:8]
    fill("ethanol_xtb.extxyz", {group: partial(trajectory, group, torsion) for group, torsion in starts})
