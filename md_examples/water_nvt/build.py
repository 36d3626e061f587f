"""How the start files of water were made: turned molecules on a lattice at 1.0 g/cm³, relaxed, 1 ps with `water`."""

import numpy as np
from ase import Atoms, units
from ase.build import molecule

from ase_lode import LODECalculator, relax, run_md

DENSITY = 1.0  # g/cm³
MASS = 18.015  # g/mol
CELLS = 4  # cells of the lattice along an edge
# Start file and molecules in one cell of the lattice.
BOXES = {"water64.xyz": [[0, 0, 0]], "../water_npt/water128.xyz": [[0, 0, 0], [0.5, 0.5, 0.5]]}


def build(basis, rng):
    """A cubic box of molecules on a lattice, each turned at random."""
    sites = [np.add(index, site) for index in np.ndindex(CELLS, CELLS, CELLS) for site in basis]
    edge = (len(sites) * MASS / units.mol / DENSITY * 1e24) ** (1 / 3)
    box = Atoms(cell=[edge] * 3, pbc=True)
    for site in sites:
        water = molecule("H2O")
        water.positions = water.positions @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + site * edge / CELLS
        box += water
    return box


if __name__ == "__main__":
    for name, basis in BOXES.items():
        box = build(basis, np.random.default_rng(0))
        box.calc = LODECalculator("water", on_extrapolation="ignore")
        relax(box, fmax=0.5, optimizer="fire", steps=100)
        run_md(box, ensemble="nvt-langevin", temperature_K=300, friction_per_ps=20, timestep_fs=0.5, steps=2000)
        start = Atoms(box.symbols, box.positions.round(4), cell=box.cell.round(4), pbc=True)
        start.write(name, format="extxyz")
