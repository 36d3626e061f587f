"""Infrared and Raman spectra of liquid water, 64 molecules at 300 K for 2.5 ps.

Forces by the shipped potential ``water``, dipole and polarizability by ``water-response``, which gives the dipole along
unwrapped positions and the dielectric tensor of the cell.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np

from ase_lode import LODECalculator, relax, run_md
from ase_lode.dynamics.plots import plot_curves
from ase_lode.dynamics.spectra import Record, infrared, raman

TEMPERATURE = 300  # K
TIMESTEP = 0.5  # fs
INTERVAL = 4  # steps between dipoles
SKIPPED = 0.2  # share of the run that counts as equilibration
#: Where each band is looked for, in 1/cm.
BANDS = {"libration": (350, 1000), "bend": (1450, 1850), "stretch": (2900, 3900)}

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser()
parser.add_argument("--response", default="water-response", help="potential that gives dipole and polarizability")
parser.add_argument("--steps", type=int, default=5000)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
out = options.out

atoms = ase.io.read(HERE.parent / "water_nvt" / "water64.xyz")
atoms.calc = LODECalculator("water")
relax(atoms, fmax=0.3, steps=50)
run_md(atoms, ensemble="nvt-bussi", temperature_K=TEMPERATURE, timestep_fs=TIMESTEP, steps=options.steps, seed=1,
       response=options.response, log_interval=INTERVAL, trajectory=out / "md.traj", trajectory_interval=INTERVAL,
       log=out / "md.csv", plot=out / "md.png", checkpoint=out / "md.ckpt.npz")

frames = ase.io.read(out / "md.traj", ":")
record = Record.of_frames(frames[int(SKIPPED * len(frames)):])
for kind, (wavenumber, curves), main, label in (("ir", infrared(record), "absorption", "n α (1/cm)"),
                                                ("raman", raman(record), "total", "activity (Å⁴/amu cm)")):
    shown = wavenumber < 4500
    plot_curves(out / f"{kind}.png", wavenumber[shown], {name: values[shown] for name, values in curves.items()},
                "wavenumber (1/cm)", label)
    np.savetxt(out / f"{kind}.csv", np.column_stack([wavenumber, *curves.values()]), "%.6g", ",",
               header=",".join(["wavenumber", *curves]), comments="")
    for band, (low, high) in BANDS.items():
        here = (wavenumber > low) & (wavenumber < high)
        print(f"{kind} {band}: {wavenumber[here][curves[main][here].argmax()]:.0f} 1/cm")
print(f"see {out}/ir.png and raman.png")
