"""Infrared and Raman spectra of a molecule from its dynamics, beside its harmonic modes.

Forces by a potential fitted here to the 200 structures of ``train_your_own`` (ethanol) or by ``-p``; dipole and
polarizability by the shipped response potential ``qm7b-response``. At 50 K the bands lie close to the harmonic modes.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
import yaml
from ase.build import molecule
from ase.vibrations import Vibrations

from ase_lode import LODECalculator, relax, run_md, train
from ase_lode.dynamics.plots import plot_curves
from ase_lode.dynamics.spectra import Record, bands, infrared, raman

TEMPERATURE = 50  # K
TIMESTEP = 0.25  # fs; velocity Verlet raises ω by the share (ω dt)²/24, 3 1/cm of a C-H stretch
INTERVAL = 8  # steps; the response every 2 fs shows all below 8,300 1/cm

HERE = Path(__file__).resolve().parent
RECIPE = HERE.parent / "train_your_own" / "train.yaml"
parser = argparse.ArgumentParser()
parser.add_argument("molecule", nargs="?", default="CH3CH2OH", help="a name known to ASE, or a file")
parser.add_argument("-p", "--potential", help="name or file; ethanol's is fitted if there is none")
parser.add_argument("--response", default="qm7b-response", help="potential that gives dipole and polarizability")
parser.add_argument("--steps", type=int, default=40_000)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
out = options.out.resolve()

if options.potential is None:
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe["data"]["train"]["file"] = str(RECIPE.parent / recipe["data"]["train"]["file"])
    recipe["output"]["directory"] = str(out)
    options.potential, _ = train(recipe, quiet=True)

atoms = ase.io.read(options.molecule) if Path(options.molecule).is_file() else molecule(options.molecule)
atoms.calc = LODECalculator(options.potential)
relax(atoms, fmax=0.001, trajectory=out / "relax.traj")
modes = Vibrations(atoms, name=str(out / "modes"), delta=0.005)
modes.clean()
modes.run()
harmonic = np.sort(modes.get_frequencies().real)[6:]
print("harmonic modes (1/cm):", " ".join(f"{value:.0f}" for value in harmonic))

run_md(atoms, ensemble="nve", temperature_K=TEMPERATURE, timestep_fs=TIMESTEP, steps=options.steps, seed=1,
       response=options.response, log_interval=INTERVAL, trajectory=out / "md.traj", trajectory_interval=INTERVAL,
       log=out / "md.csv", plot=out / "md.png", checkpoint=out / "md.ckpt.npz")
record = Record.of_log(out / "md.csv")
for kind, (wavenumber, curves), main in (("ir", infrared(record), "absorption"), ("raman", raman(record), "total")):
    shown = wavenumber < 4200
    sticks = 0.3 * curves[main].max() * np.isin(np.arange(shown.sum()), np.searchsorted(wavenumber[shown], harmonic))
    plot_curves(out / f"{kind}.png", wavenumber[shown],
                {**{name: values[shown] for name, values in curves.items()}, "harmonic modes": sticks},
                "wavenumber (1/cm)", "km/mol cm" if kind == "ir" else "Å⁴/amu cm")
    np.savetxt(out / f"{kind}.csv", np.column_stack([wavenumber, *curves.values()]), "%.6g", ",",
               header=",".join(["wavenumber", *curves]), comments="")
    found = bands(wavenumber[shown], curves[main][shown])
    nearest = [harmonic[abs(harmonic - band).argmin()] for band in found]
    print(f"{kind} bands (1/cm) and nearest harmonic modes:",
          " ".join(f"{band:.0f}/{mode:.0f}" for band, mode in zip(found, nearest)))
print(f"see {out}/ir.png and raman.png")
