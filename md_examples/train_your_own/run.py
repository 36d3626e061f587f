"""From labelled structures to a potential, its errors, and molecular dynamics of ethanol with it."""

import argparse
from pathlib import Path

import ase.io
import yaml

from ase_lode import LODECalculator, relax, run_md, train

TEMPERATURE = 300  # K
TIMESTEP = 0.5  # fs

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=2000)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
out = options.out.resolve()

config = yaml.safe_load((HERE / "train.yaml").read_text())
config["output"]["directory"] = str(out)
config["data"]["train"]["file"] = str(HERE / config["data"]["train"]["file"])
potential, report = train(config)  # train("train.yaml") does the same, without --out
for part, errors in report["errors"].items():
    print(f"{part}: energy {1000 * errors['energy']['rmse']:.2f} meV/atom, "
          f"forces {1000 * errors['forces']['rmse']:.0f} meV/Å")

atoms = ase.io.read(HERE / config["data"]["train"]["file"])
atoms.calc = LODECalculator(out / "ethanol.lode")
result = relax(atoms, fmax=0.01, trajectory=out / "relax.traj", quiet=True)
print(f"relaxed: {result.converged}, largest force {result.fmax:.3f} eV/Å")
run = run_md(atoms, ensemble="nvt-bussi", temperature_K=TEMPERATURE, timestep_fs=TIMESTEP, steps=options.steps, seed=1,
             trajectory=out / "md.traj", log=out / "md.csv", plot=out / "md.png", checkpoint=out / "md.ckpt.npz")
print(f"simulated {run.time_ps:.2f} ps; see {out}/report.html, metrics.yaml, ethanol.lode, md.png")
