"""A polar peptide (ACE-GLU-LYS-NME) in vacuum: relaxed, then 1 ps at 300 K; follows the torsions of its backbone."""

import argparse
from pathlib import Path

import ase.io
import numpy as np

from ase_lode import LODECalculator, relax, run_md
from ase_lode.dynamics.plots import plot_curves

TEMPERATURE = 300  # K
TIMESTEP = 0.5  # fs
# Atoms of the torsions, counted from 0.
TORSIONS = {"phi(Glu)": (1, 3, 4, 5), "psi(Glu)": (3, 4, 5, 7), "phi(Lys)": (5, 7, 8, 9), "psi(Lys)": (7, 8, 9, 11)}

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=2000)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
out = options.out

atoms = ase.io.read(HERE / "peptide.xyz")
atoms.calc = LODECalculator("dipeptides")

result = relax(atoms, fmax=0.02, trajectory=out / "relax.traj", plot=out / "relax.png")
print(f"relaxed: {result.converged}, {result.steps} steps, largest force {result.fmax:.3f} eV/Å, "
      f"energy {atoms.get_potential_energy():.3f} eV")
atoms.write(out / "relaxed.xyz")

run = run_md(atoms, ensemble="nvt-bussi", temperature_K=TEMPERATURE, timestep_fs=TIMESTEP, steps=options.steps, seed=1,
             trajectory=out / "md.traj", trajectory_interval=10, log=out / "md.csv", plot=out / "md.png",
             checkpoint=out / "md.ckpt.npz")

frames = ase.io.read(out / "md.traj", ":")
torsions = {name: np.unwrap([frame.get_dihedral(*four) for frame in frames], period=360)
            for name, four in TORSIONS.items()}
times = [frame.info["time_ps"] for frame in frames]
plot_curves(out / "torsions.png", times, torsions, "time (ps)", "torsion (degrees)")
print(f"simulated {run.time_ps:.2f} ps; see {out}/md.csv, md.traj, md.png, torsions.png")
