"""Water on rock salt, NaCl(001), above a fixed layer: adsorption energies, 0.5 ps at 300 K, density profile."""

import argparse
from pathlib import Path

import ase.io
import yaml
from ase.constraints import FixAtoms

from ase_lode import LODECalculator, relax, run_md
from ase_lode.dynamics.analysis import density_profile
from ase_lode.dynamics.plots import plot_curves, read_log

DATA = Path(__file__).resolve().parent.parent / "data" / "slab_xtb.extxyz.gz"
MINIMA = ("adsorbed-down", "adsorbed-flat", "adsorbed-chlorine")
TEMPERATURE = 300  # K
TIMESTEP = 0.5  # fs

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1000)
parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "out")
options = parser.parse_args()
out = options.out

first = {}  # the first frame of a group is its relaxed structure
for frame in ase.io.read(DATA, ":"):
    first.setdefault(frame.info["group"], frame)
reference = {group: frame.get_potential_energy() for group, frame in first.items()}

calc = LODECalculator("slab-xtb")
energies, relaxed = {}, True
for group in ("bare-relaxed", "molecule-relaxed", *MINIMA):
    atoms = first[group]
    atoms.calc = calc
    if group != "molecule-relaxed":
        lowest = atoms.positions[:, 2].min()
        atoms.set_constraint(FixAtoms(mask=atoms.positions[:, 2] < lowest + 1))
    relaxed &= relax(atoms, fmax=0.02, trajectory=out / f"{group}.traj", quiet=True).converged
    energies[group] = atoms.get_potential_energy()

results = {"relaxed": bool(relaxed)}
for group in MINIMA:
    model, label = (e[group] - e["bare-relaxed"] - e["molecule-relaxed"] for e in (energies, reference))
    results[group] = {"adsorption_eV": round(float(model), 4), "reference_eV": round(float(label), 4)}
    print(f"{group}: adsorption energy {model:.3f} eV, GFN1-xTB {label:.3f} eV")
(out / "adsorption.yaml").write_text(yaml.safe_dump(results))

run_md(first["adsorbed-down"], ensemble="nvt-bussi", temperature_K=TEMPERATURE, timestep_fs=TIMESTEP,
       steps=options.steps, seed=1, trajectory=out / "md.traj", trajectory_interval=10, log=out / "md.csv",
       plot=out / "md.png", checkpoint=out / "md.ckpt.npz")

height, density = density_profile(ase.io.read(out / "md.traj", ":"), "z", width=0.2)
plot_curves(out / "profile.png", height, density, "z (Å)", "density (g/cm³)")
pressure = read_log(out / "md.csv")["pressure_ab_GPa"].mean()
tension = -0.1 * pressure * first["adsorbed-down"].cell[2, 2]  # GPa Å to N/m; does not depend on the vacuum
print(f"in-plane pressure {pressure:.3f} GPa over the whole cell, a tension of {tension:.2f} N/m; see {out}/md.html "
      "and profile.png")
