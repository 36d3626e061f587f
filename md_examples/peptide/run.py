"""A polar peptide (ACE-GLU-LYS-NME) in vacuum: checked, relaxed, then 1 ps at 300 K; how its shape changes.

With ``--pdb peptide.pdb`` the start is a PDB file without hydrogens (``pip install 'ase-lode[proteins]'``).
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np

from ase_lode import LODECalculator, relax, run_md
from ase_lode.dynamics.analysis import deviations, gyration_radii, ramachandran
from ase_lode.dynamics.molecules import from_pdb
from ase_lode.dynamics.plots import plot_curves, plot_ramachandran

TEMPERATURE = 300  # K
TIMESTEP = 0.5  # fs
CHARGE = 0.0  # e; the potential knows salt bridges, neutral in all

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser()
parser.add_argument("--pdb", type=Path, help="PDB file of a capped peptide")
parser.add_argument("--steps", type=int, default=2000)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
out = options.out

calc = LODECalculator("dipeptides")
if options.pdb:
    atoms = from_pdb(options.pdb)  # warns of ends without caps, refuses gaps and unknown residues
    print(f"{atoms.info['residues']}: {len(atoms)} atoms, charge {atoms.info['charge']:+.0f} e")
else:
    atoms = ase.io.read(HERE / "peptide.xyz")
unknown = set(atoms.symbols) - set(calc.potential.elements)
if unknown or atoms.info.get("charge", CHARGE) != CHARGE:
    raise SystemExit(f"The potential knows {' '.join(calc.potential.elements)} and neutral peptides, not this one.")
atoms.calc = calc

result = relax(atoms, fmax=0.02, trajectory=out / "relax.traj", plot=out / "relax.png")
print(f"relaxed: {result.converged}, {result.steps} steps, largest force {result.fmax:.3f} eV/Å, "
      f"energy {atoms.get_potential_energy():.3f} eV")
atoms.write(out / "relaxed.xyz")

run = run_md(atoms, ensemble="nvt-bussi", temperature_K=TEMPERATURE, timestep_fs=TIMESTEP, steps=options.steps, seed=1,
             trajectory=out / "md.traj", trajectory_interval=10, log=out / "md.csv", plot=out / "md.png",
             checkpoint=out / "md.ckpt.npz")

frames = ase.io.read(out / "md.traj", ":")
times = [frame.info["time_ps"] for frame in frames]
torsions = ramachandran(frames)
plot_ramachandran(out / "ramachandran.png", torsions)
plot_curves(out / "torsions.png", times, {name: np.unwrap(values, period=360) for name, values in torsions.items()},
            "time (ps)", "torsion (degrees)")
shape = {**{f"RMSD, {atoms}": values for atoms, values in deviations(frames).items()},
         "radius of gyration": gyration_radii(frames)}
plot_curves(out / "shape.png", times, shape, "time (ps)", "RMSD, radius of gyration (Å)")
print(f"simulated {run.time_ps:.2f} ps; RMSD {shape['RMSD, not H'][-1]:.2f} Å, radius of gyration "
      f"{shape['radius of gyration'].mean():.2f} Å; see {out}/md.html, ramachandran.png, shape.png, torsions.png")
