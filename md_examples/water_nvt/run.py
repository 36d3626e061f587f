"""Liquid water, 64 molecules at 1.0 g/cm³ and 300 K for 2 ps; draws the radial distribution functions."""

import argparse
from pathlib import Path

import ase.io
import numpy as np

from ase_lode import LODECalculator, relax, run_md
from ase_lode.dynamics.analysis import radial_distribution
from ase_lode.dynamics.plots import plot_curves

TEMPERATURE = 300  # K
TIMESTEP = 0.5  # fs
R_MAX = 6.0  # Å, half the box
SKIPPED = 0.25  # share of the trajectory that counts as equilibration

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=4000)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
out = options.out

atoms = ase.io.read(HERE / "water64.xyz")
atoms.calc = LODECalculator("water")
relax(atoms, fmax=0.3, steps=50)
run_md(atoms, ensemble="nvt-bussi", temperature_K=TEMPERATURE, timestep_fs=TIMESTEP, steps=options.steps, seed=1,
       trajectory=out / "md.traj", trajectory_interval=20, log=out / "md.csv", plot=out / "md.png",
       checkpoint=out / "md.ckpt.npz")

frames = ase.io.read(out / "md.traj", ":")
frames = frames[int(SKIPPED * len(frames)):]
r, curves = radial_distribution(frames, R_MAX, bins=120)
columns = ",".join(f"g_{pair}" for pair in curves)
np.savetxt(out / "rdf.csv", np.column_stack([r, *curves.values()]), "%.5f", ",", header=f"r_A,{columns}", comments="")
plot_curves(out / "rdf.png", r, {pair: np.where(r > 1.4, g, np.nan) for pair, g in curves.items()}, "r (Å)", "g(r)")
peak = np.argmax(curves["O-O"])
print(f"O-O: first peak {curves['O-O'][peak]:.2f} at {r[peak]:.2f} Å from {len(frames)} frames; see {out}/rdf.png")
