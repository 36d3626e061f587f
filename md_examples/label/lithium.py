"""H2O and CO2, rigid, over a Li(100) slab of 32 atoms with PBE in GPAW: interaction energies and forces, near and far.

Usage (a minute and a half of one idle core per batch of six; interrupted, run it again)::

    apt-get install libxc-dev libopenblas-dev && CC=g++ CXX=g++ pip install gpaw gpaw-data
    OMP_NUM_THREADS=1 python lithium.py

Stored are E - E(slab) - E(molecule) and the same difference of forces, each part in the same cell and, near the slab,
with the basis functions of the other too (counterpoise). A molecule moves by whole steps of the real-space grid, so
that its error on that grid, far larger than the far interaction, cancels; alone it is computed once. Every calculation
starts from the densities of its parts.
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
#: Lattice constant (Å), atoms along each side, layers, height of the lowest layer (Å): no orbital leaves the cell, or
#: GPAW would scale what is left of the density, and with it charge the molecule.
LATTICE, ALONG, LAYERS, BOTTOM = 3.44, 4, 2, 5.0
SLAB = ALONG**2 * LAYERS
#: Points of the real-space grid along the surface and across it, and their distance (Å): 0.287 in all directions.
POINTS, ACROSS = 48, 72
SPACING = ALONG * LATTICE / POINTS
#: (1/4, 1/4): the others of a 2 x 2 x 1 set are its images under time reversal and the symmetry of the bare slab.
K_POINTS = [[0.25, 0.25, 0]]
#: Width of the Fermi distribution (eV); energies are free energies, which the forces belong to.
SMEARING = 0.1
#: Energy by which confinement lifts the orbitals of Li (eV): they end at 5 Å and stay out of the far molecule's way.
CONFINEMENT = 0.3
#: Change of the density at which to stop (electrons per electron): energies are within 0.01 meV, forces in 2 meV/Å.
DENSITY = 2e-4
#: Closest height of an atom of the molecule above the top layer (Å).
CONTACT = 2.2
#: Steps of the grid above contact, for turns 0, 1, 2, 0, ...: every third from the first, the second, the third.
STEPS = tuple(range(start, 18, 3) for start in range(3))
#: Steps from which on slab and molecule do not lend each other functions: 0.01 meV. Nearer, Li with its few functions
#: gains most: 24 meV from those of H2O 4.5 Å above it, 9 meV at 5.3 Å.
FAR_STEPS = 14
#: Upright and flat molecules come first: turns about x (degrees). H2O: H down, up, flat; CO2: flat, upright, tilted.
SPECIAL = {"H2O": (0, 180, 90), "CO2": (90, 0, 45)}
TURNS = 25


def slab():
    """Return the bulk-terminated slab; its atoms never move."""
    atoms = bcc100("Li", (ALONG, ALONG, LAYERS), a=LATTICE, vacuum=0)
    atoms.positions[:, 2] += BOTTOM
    return in_cell(Atoms(atoms.symbols, atoms.positions))


def in_cell(atoms):
    """Return the atoms in the slab's cell, periodic along the surface."""
    atoms.cell, atoms.pbc = [ALONG * LATTICE, ALONG * LATTICE, ACROSS * SPACING], (True, True, False)
    return atoms


@cache
def lithium_basis():
    """Return one s and one set of p functions, confined."""
    from gpaw.atom.basis import BasisMaker

    with contextlib.redirect_stdout(io.StringIO()):
        return BasisMaker.from_symbol("Li", xc="PBE").generate(1, 1, energysplit=CONFINEMENT, txt=None)


def calculated(atoms, parts=(), k_points=(1, 1, 1), **more):
    """Return the converged calculation, started from the densities of its parts.

    Parameters
    ----------
    atoms : Atoms
    parts : sequence of (calculator, int, int)
        Calculation of some of the atoms, index of its first, steps of the grid across the slab that it moves by.
    """
    from gpaw import GPAW, FermiDirac, Mixer
    from slab_poisson import FreeAcross

    calc = GPAW(mode="lcao", basis={"Li": lithium_basis(), "H": "dzp", "C": "dzp", "O": "dzp"}, xc="PBE",
                gpts=(POINTS, POINTS, ACROSS), kpts=k_points, symmetry={"point_group": False},
                occupations=FermiDirac(SMEARING), mixer=Mixer(0.1, 5, 50), extensions=[FreeAcross()],
                convergence={"energy": 1e-5, "density": DENSITY}, txt=None, **more)
    calc.create_new_calculation(atoms)
    dft = calc.dft
    if parts:
        density = dft.density
        density.nt_sR.data[:] = sum(np.roll(part.dft.density.nt_sR.data, steps, axis=-1) for part, _, steps in parts)
        for part, first, _ in parts:
            for a in range(len(part.atoms)):
                density.D_asii[first + a][:] = part.dft.density.D_asii[a]
        dft.potential, dft.energies, _ = dft.pot_calc.calculate(density, dft.ibzwfs, dft.potential.vHt_x)
    dft.converge()
    return calc


def evaluated(calc):
    """Return energy (eV) and forces (eV/Å)."""
    calc.dft.calculate_energy()
    calc.dft.calculate_forces()
    return calc.results["free_energy"], calc.results["forces"].copy()


@cache
def bare_slab():
    """Return the calculation of the bare slab."""
    return calculated(slab(), k_points=K_POINTS)


def placed(name, turn, random):
    """Return the molecule in contact, turned at random after the special turns, over a random point of the surface.

    O of H2O and C of CO2 stand on a point of the grid: by symmetry their own error of the force is nothing there.
    """
    atoms = molecule(name)
    if turn < len(SPECIAL[name]):
        atoms.rotate(SPECIAL[name][turn], "x")
    else:
        atoms.euler_rotate(*np.degrees([*random.uniform(0, 2 * np.pi, 1), np.arccos(random.uniform(-1, 1)),
                                        *random.uniform(0, 2 * np.pi, 1)]))
    top = slab().positions[:, 2].max()
    first = atoms.positions[0].copy()
    height = top + CONTACT + first[2] - atoms.positions[:, 2].min()
    steps = *random.integers(POINTS // ALONG, size=2), np.ceil(height / SPACING)
    atoms.positions += SPACING * np.array(steps) - first
    atoms.positions = atoms.positions.round(5)
    return in_cell(atoms)


def curve(group, name, turn):
    """Return one orientation at several heights."""
    start = placed(name, turn, random_of(group))
    bare, lone = bare_slab(), calculated(start)
    frames = []
    for step in STEPS[turn % len(STEPS)]:
        atoms = in_cell(slab() + start)
        atoms.positions[SLAB:, 2] += step * SPACING
        parts = (bare, 0, 0), (lone, SLAB, step)
        energy, forces = evaluated(calculated(atoms, parts, K_POINTS))
        if step < FAR_STEPS:
            without = ((calculated(atoms, parts[:1], K_POINTS, setups=dict.fromkeys("HCO", "ghost")), slice(None)),
                       (calculated(atoms, parts[1:], setups={"Li": "ghost"}, nbands=10), slice(None)))
        else:
            without = (bare, slice(SLAB)), (lone, slice(SLAB, None))
        for calc, here in without:
            part_energy, part_forces = evaluated(calc)
            energy -= part_energy
            forces[here] -= part_forces
        frames.append(frame(atoms, energy, forces, config_type=name, group=group))
    return frames


def frame(atoms, energy, forces, **info):
    """Return the structure with its labels; `height` is that of O in H2O and of C in CO2 above the top layer (Å)."""
    stored = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    stored.calc = SinglePointCalculator(stored, energy=round(energy, 6), forces=forces.round(5) + 0.0)
    height = atoms.positions[SLAB, 2] - atoms.positions[:SLAB, 2].max()
    stored.info.update(info, height=round(height, 4), method=METHOD)
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
