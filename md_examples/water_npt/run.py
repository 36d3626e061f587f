"""Liquid water, 128 molecules at 1 bar and 300 K for 1.5 ps with `water-npt`; draws the density against time.

Densities need a potential that has seen many volumes and virials. Do not trust those of `water`: it knows one volume.
"""

import argparse
from pathlib import Path

import ase.io

from ase_lode import LODECalculator, relax, run_md
from ase_lode.dynamics.plots import plot_curves, read_log

TEMPERATURE = 300  # K
PRESSURE = 1e-4  # GPa, 1 bar
TIMESTEP = 0.5  # fs

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=3000)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
out = options.out

atoms = ase.io.read(HERE / "water128.xyz")
atoms.calc = LODECalculator("water-npt")
relax(atoms, fmax=0.3, steps=50)
run_md(atoms, ensemble="npt-mtk-iso", temperature_K=TEMPERATURE, pressure_GPa=PRESSURE, timestep_fs=TIMESTEP,
       taup_fs=500, steps=options.steps, seed=1, trajectory=out / "md.traj", trajectory_interval=20, log=out / "md.csv",
       plot=out / "md.png", checkpoint=out / "md.ckpt.npz")

log = read_log(out / "md.csv")
density = log["density_g_cm3"]
plot_curves(out / "density.png", log["time_ps"], {"water-npt": density}, "time (ps)", "density (g/cm³)")
print(f"density: {density[0]:.3f} g/cm³ at the start, {density[len(density) // 2:].mean():.3f} g/cm³ over the second "
      f"half; picoseconds are too short for a converged value; see {out}/density.png")
