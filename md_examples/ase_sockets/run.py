"""Dynamics in one process, forces from another: ASE's socket server with the potential as its client."""

import argparse
import os
from functools import partial
from pathlib import Path

import ase.io
from ase.calculators.socketio import PySocketIOClient, SocketIOCalculator

from ase_lode import LODECalculator, relax, run_md

POTENTIAL = "slab-xtb"
DATA = Path(__file__).resolve().parent.parent / "data" / "slab_xtb.extxyz.gz"

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--port", type=int, help="wait here for client.py, perhaps on another machine")
parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "out")
options = parser.parse_args()
out = options.out

if options.port:
    server = SocketIOCalculator(port=options.port)
else:  # start the client, which connects through a file
    client = PySocketIOClient(partial(LODECalculator, POTENTIAL))
    server = SocketIOCalculator(launch_client=client, unixsocket=f"ase_lode_{os.getpid()}")

atoms = ase.io.read(DATA, 0)
with server:
    atoms.calc = server
    relax(atoms, fmax=0.05, trajectory=out / "relax.traj")
    run_md(atoms, ensemble="nvt-bussi", temperature_K=300, timestep_fs=0.5, steps=options.steps, seed=1,
           trajectory=out / "md.traj", log=out / "md.csv")
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()

atoms.calc = LODECalculator(POTENTIAL)
print(f"socket and plain calculator differ by {abs(energy - atoms.get_potential_energy()):.1e} eV and "
      f"{abs(forces - atoms.get_forces()).max():.1e} eV/Å")
