"""Water on lithium, Li(100) above a fixed layer: relaxed, moved from site to site, 0.5 ps at 300 K, density profile."""

import argparse
from pathlib import Path

import ase.io
import numpy as np
import yaml
from ase.build import bcc100, molecule
from ase.constraints import FixAtoms, FixCartesian

from ase_lode import LODECalculator, relax, run_md
from ase_lode.dynamics.analysis import density_profile
from ase_lode.dynamics.plots import plot_curves

LATTICE = 3.44  # Å, also the distance of neighbours in a layer
SITES = {"top": (0.0, 0.0), "bridge": (0.5, 0.0), "hollow": (0.5, 0.5)}  # from an atom, in these distances
ROUTE = ("top", "bridge", "hollow", "top")
POINTS = 4  # from site to site
TEMPERATURE = 300  # K
TIMESTEP = 0.5  # fs

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1000)
parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "out")
options = parser.parse_args()
out = options.out
calc = LODECalculator("water-li100")

slab, water = bcc100("Li", (4, 4, 2), a=LATTICE, vacuum=5), molecule("H2O")
slab.pbc = True, True, False
water.cell, water.pbc = slab.cell, slab.pbc  # alone it feels its images too, 2 to 6 meV
fixed = FixAtoms(mask=slab.positions[:, 2] < slab.positions[:, 2].mean())
corner = slab.positions[slab.positions[:, 2].argmax()].copy()


def relaxed(atoms, name, *constraints):
    """Relax a structure and return its energy (eV)."""
    atoms.calc = calc
    atoms.set_constraint(constraints)
    if not relax(atoms, fmax=0.02, trajectory=out / f"{name}.traj", quiet=True).converged:
        print(f"{name}: not relaxed")
    return float(atoms.get_potential_energy())


apart = relaxed(slab, "slab", fixed) + relaxed(water, "molecule")
water.rotate(150, "x")  # H above O, and not upright
adsorbed, adsorption = {}, {}
for name, site in SITES.items():
    atoms = slab + water
    atoms.positions[-3:] += corner + [LATTICE * site[0], LATTICE * site[1], 2.2] - atoms.positions[-3]
    adsorption[name] = round(relaxed(atoms, name, fixed) - apart, 4)
    adsorbed[name] = atoms
    bond = atoms.get_distances(-3, range(len(slab)), mic=True).min()
    print(f"from {name}: adsorption energy {adsorption[name]:.3f} eV, Li-O {bond:.2f} Å")

sites = np.transpose([SITES[name] for name in ROUTE])
places = np.linspace(0, len(ROUTE) - 1, (len(ROUTE) - 1) * POINTS + 1)
atoms, way = adsorbed[ROUTE[0]].copy(), []
for number, place in enumerate(places):  # O is held above a point, all else follows; hydrogens may end elsewhere
    target = corner[:2] + LATTICE * np.array([np.interp(place, range(len(ROUTE)), axis) for axis in sites])
    atoms.set_constraint()
    atoms.positions[-3:, :2] += target - atoms.positions[-3, :2]
    held = FixCartesian(len(atoms) - 3, (True, True, False))
    way.append(round(relaxed(atoms, f"way{number}", fixed, held) - apart, 4))
plot_curves(out / "way.png", places, {"adsorbed": way}, " - ".join(ROUTE), "energy (eV)")
print(f"on the way {' - '.join(ROUTE)}: {min(way):.3f} to {max(way):.3f} eV")
(out / "adsorption.yaml").write_text(yaml.safe_dump({"adsorption_eV": adsorption, "way_eV": way}))

run_md(adsorbed[min(adsorption, key=adsorption.get)], ensemble="nvt-bussi", temperature_K=TEMPERATURE,
       timestep_fs=TIMESTEP, steps=options.steps, seed=1, trajectory=out / "md.traj", trajectory_interval=10,
       log=out / "md.csv", plot=out / "md.png", checkpoint=out / "md.ckpt.npz")

height, density = density_profile(ase.io.read(out / "md.traj", ":"), "z", width=0.2)
plot_curves(out / "profile.png", height, density, "z (Å)", "density (g/cm³)")
print(f"see {out}/md.html, way.png and profile.png")
