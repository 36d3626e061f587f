"""A molecule from SMILES or a file, relaxed and simulated: the spectrum of its velocities beside its harmonic modes.

Ethanol by default, with a potential fitted here to the 200 structures of ``train_your_own``. SMILES need
``pip install 'ase-lode[smiles]'``; a file that ASE reads does not.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
import yaml
from ase.vibrations import Vibrations

from ase_lode import LODECalculator, relax, run_md, train
from ase_lode.dynamics.analysis import frame_interval, vibrational_density
from ase_lode.dynamics.molecules import from_smiles
from ase_lode.dynamics.plots import plot_curves

TEMPERATURE = 300  # K
TIMESTEP = 0.5  # fs
INTERVAL = 4  # steps; a frame every 2 fs shows all below 8,300 1/cm

HERE = Path(__file__).resolve().parent
RECIPE = HERE.parent / "train_your_own" / "train.yaml"
parser = argparse.ArgumentParser()
parser.add_argument("molecule", nargs="?", default="CCO", help="SMILES or a file")
parser.add_argument("-p", "--potential", help="name or file; ethanol's is fitted if there is none")
parser.add_argument("--steps", type=int, default=10_000)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
out = options.out.resolve()

if options.potential is None:
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe["data"]["train"]["file"] = str(RECIPE.parent / recipe["data"]["train"]["file"])
    recipe["output"]["directory"] = str(out)
    options.potential, _ = train(recipe, quiet=True)

is_file = Path(options.molecule).is_file()
atoms = ase.io.read(options.molecule) if is_file else from_smiles(options.molecule)
atoms.calc = LODECalculator(options.potential)
result = relax(atoms, fmax=0.002, trajectory=out / "relax.traj", plot=out / "relax.png")
print(f"{atoms.get_chemical_formula()} relaxed: {result.converged}, energy {atoms.get_potential_energy():.3f} eV")

modes = Vibrations(atoms, name=str(out / "modes"), delta=0.005)
modes.clean()
modes.run()
wavenumbers = np.sort(modes.get_frequencies().real)[6:]
print("harmonic modes (1/cm):", " ".join(f"{value:.0f}" for value in wavenumbers))

run_md(atoms, ensemble="nvt-bussi", temperature_K=TEMPERATURE, timestep_fs=TIMESTEP, steps=options.steps, seed=1,
       trajectory=out / "md.traj", trajectory_interval=INTERVAL, log=out / "md.csv", plot=out / "md.png",
       checkpoint=out / "md.ckpt.npz")
frames = ase.io.read(out / "md.traj", ":")
wavenumber, curves = vibrational_density(frames, frame_interval(frames))
shown = wavenumber < 4500
harmonic = 5e-4 * np.isin(np.arange(shown.sum()), np.searchsorted(wavenumber[shown], wavenumbers))
plot_curves(out / "spectrum.png", wavenumber[shown],
            {**{name: values[shown] for name, values in curves.items()}, "harmonic modes": harmonic},
            "wavenumber (1/cm)", "density of states (cm)")
np.savetxt(out / "spectrum.csv", np.column_stack([wavenumber, *curves.values()]), "%.6g", ",",
           header=",".join(["wavenumber", *curves]), comments="")
strongest = wavenumber[shown][curves["total"][shown].argmax()]
print(f"strongest band at {strongest:.0f} 1/cm; see {out}/md.html and spectrum.png")
