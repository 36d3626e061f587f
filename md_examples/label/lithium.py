"""H2O and CO2, rigid, over a Li(100) slab of 36 atoms with PBE in GPAW: interaction energies and forces, near and far.

Usage (minutes per batch; interrupted, run it again)::

    apt-get install libxc-dev libopenblas-dev && CC=g++ CXX=g++ pip install gpaw gpaw-data
    OMP_NUM_THREADS=1 python lithium.py

Stored are E - E(slab) - E(molecule) and the same difference of forces, each part in the same cell. Near the slab the
molecule alone has the basis functions of the slab too (counterpoise). A molecule moves by whole steps of
the real-space grid, so that its error on that grid, far larger than the far interaction, cancels.
"""

import contextlib
import io
from functools import cache, partial

import numpy as np
from ase import Atoms
from ase.build import bcc100, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from batches import fill, random_of

METHOD = "PBE, LCAO, GPAW"
#: Lattice constant (Å), layers of 3 x 3 atoms, height of the cell (Å), height of the lowest layer (Å).
LATTICE, LAYERS, HEIGHT, BOTTOM = 3.44, 4, 21.6, 4.0
#: Points of the real-space grid: 0.29 x 0.29 x 0.30 Å.
GRID = (36, 36, 72)
#: (1/4, 1/4): the others of a 2 x 2 x 1 set are its images under time reversal and the symmetry of the bare slab.
K_POINTS = [[0.25, 0.25, 0]]
#: Width of the Fermi distribution (eV); energies are free energies, which the forces belong to.
SMEARING = 0.1
#: Energy by which confinement lifts the orbitals of Li (eV): they end at 5 Å and stay out of the far molecule's way.
CONFINEMENT = 0.3
#: Closest height of an atom of the molecule above the top layer (Å).
CONTACT = 1.9
#: Steps of the grid above contact, in turn.
STEPS = ((0, 6, 14), (2, 9, 17), (4, 11, 15), (1, 7, 12))
#: Steps from which on the functions of the slab do not help the molecule: by 0.1 meV 6 Å above, by 73 meV at 3 Å.
FAR_STEPS = 13
#: Upright and flat molecules come first: turns about x (degrees). H2O: H down, up, flat; CO2: flat, upright, tilted.
SPECIAL = {"H2O": (0, 180, 90), "CO2": (90, 0, 45)}
TURNS = 40


def slab():
    """Return the bulk-terminated slab; its atoms never move."""
    atoms = bcc100("Li", (3, 3, LAYERS), a=LATTICE, vacuum=0)
    atoms.positions[:, 2] += BOTTOM
    return in_cell(Atoms(atoms.symbols, atoms.positions))


def in_cell(atoms):
    """Return the atoms in the slab's cell, periodic along the surface."""
    atoms.cell, atoms.pbc = [3 * LATTICE, 3 * LATTICE, HEIGHT], (True, True, False)
    return atoms


@cache
def lithium_basis():
    """Return one s and one set of p functions, confined."""
    from gpaw.atom.basis import BasisMaker

    with contextlib.redirect_stdout(io.StringIO()):
        return BasisMaker.from_symbol("Li", xc="PBE").generate(1, 1, energysplit=CONFINEMENT, txt=None)


def calculator(k_points=K_POINTS, **more):
    """Return GPAW's calculator; the dipole layer ends the field of the molecule's dipole above and below."""
    from gpaw import GPAW, FermiDirac, Mixer

    return GPAW(
        mode="lcao", basis={"Li": lithium_basis(), "H": "dzp", "C": "dzp", "O": "dzp"}, xc="PBE", gpts=GRID,
        kpts=k_points, symmetry={"point_group": False}, occupations=FermiDirac(SMEARING), mixer=Mixer(0.1, 5, 50),
        poissonsolver={"dipolelayer": "xy"}, convergence={"energy": 1e-6, "density": 3e-5}, txt=None, **more)


def evaluated(atoms):
    """Return energy (eV) and forces (eV/Å)."""
    return atoms.get_potential_energy(force_consistent=True), atoms.get_forces()


@cache
def alone():
    """Return energy and forces of the bare slab."""
    atoms = slab()
    atoms.calc = calculator()
    return evaluated(atoms)


def placed(name, turn, random):
    """Return the molecule in contact, over a random point, turned at random after the special turns."""
    atoms = molecule(name)
    if turn < len(SPECIAL[name]):
        atoms.rotate(SPECIAL[name][turn], "x")
    else:
        atoms.euler_rotate(*np.degrees([*random.uniform(0, 2 * np.pi, 1), np.arccos(random.uniform(-1, 1)),
                                        *random.uniform(0, 2 * np.pi, 1)]))
    top = slab().positions[:, 2].max()
    point = random.uniform(0, LATTICE, 2)
    atoms.positions += [*(point - atoms.positions[0, :2]), top + CONTACT - atoms.positions[:, 2].min()]
    atoms.positions = atoms.positions.round(5)
    return in_cell(atoms)


def curve(group, name, turn):
    """Return one orientation at several heights."""
    start = placed(name, turn, random_of(group))
    slab_energy, slab_forces = alone()
    together, ghosts, lone = in_cell(slab() + start), in_cell(slab() + start), start.copy()
    together.calc = calculator()
    ghosts.calc = calculator((1, 1, 1), setups={"Li": "ghost"}, nbands=10)
    lone.calc = calculator((1, 1, 1))
    frames = []
    for step in STEPS[turn % len(STEPS)]:
        for atoms in (together, ghosts, lone):
            atoms.positions[-3:] = start.positions + [0, 0, step * HEIGHT / GRID[2]]
        energy, forces = evaluated(together)
        molecule_energy, molecule_forces = evaluated(ghosts if step < FAR_STEPS else lone)
        forces[:36] -= slab_forces
        forces[-len(molecule_forces):] -= molecule_forces
        frames.append(frame(together, energy - slab_energy - molecule_energy, forces, config_type=name, group=group))
    return frames


def frame(atoms, energy, forces, **info):
    """Return the structure with its labels; `height` is that of O in H2O and of C in CO2 above the top layer (Å)."""
    stored = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    stored.calc = SinglePointCalculator(stored, energy=round(energy, 6), forces=forces.round(5) + 0.0)
    stored.info.update(info, height=round(atoms.positions[36, 2] - atoms.positions[:36, 2].max(), 4), method=METHOD)
    return stored


def batches():
    """Return the batches by group, H2O and CO2 by turns."""
    work = {}
    for turn in range(TURNS):
        for name in SPECIAL:
            group = f"{name}-{turn}"
            work[group] = partial(curve, group, name, turn)
    return work


if __name__ == "__main__":
    fill("../paper/lithium/lithium_pbe.extxyz.gz", batches())
