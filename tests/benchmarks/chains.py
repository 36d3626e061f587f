"""Whether the stiff bonds of a lone molecule get their share of the energy from a thermostat.

``python tests/benchmarks/chains.py [--smiles O CNC(C)=O ...] [--ensemble nvt-nhc nvt-bussi] [--ps 100]``, with the
force field MMFF94 of RDKit. The relative velocity of two bonded atoms along their bond has the mean square kT/μ with
the reduced mass μ, whatever the forces, and without drift and rotation too. Printed is its ratio to that: the mean over
the bonds to hydrogen with a standard error from blocks, and the extremes among these bonds. `run_md` refuses chains on
molecules below `ensembles.SHARING` atoms; this script sets that aside.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from ase import units
from ase.calculators.calculator import Calculator, all_changes
from ase.io.trajectory import Trajectory
from rdkit import Chem
from rdkit.Chem import AllChem

from ase_lode import relax, run_md
from ase_lode.dynamics import ensembles
from ase_lode.dynamics.bonds import Bonds
from ase_lode.dynamics.molecules import from_smiles

TEMPERATURE, TIMESTEP, INTERVAL, BLOCKS = 300, 0.5, 15, 10
#: Water, N-methylacetamide, alanine dipeptide: 3, 12 and 22 atoms.
MOLECULES = ("O", "CNC(C)=O", "CNC(=O)C(C)NC(C)=O")


class MMFF(Calculator):
    """RDKit's force field of a molecule whose atoms are in RDKit's order."""

    implemented_properties = ("energy", "forces")

    def __init__(self, smiles):
        super().__init__()
        self.molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        AllChem.EmbedMolecule(self.molecule, randomSeed=1)
        self.field = AllChem.MMFFGetMoleculeForceField(self.molecule, AllChem.MMFFGetMoleculeProperties(self.molecule))

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        places, unit = self.atoms.positions.ravel().tolist(), units.kcal / units.mol
        self.results = {"energy": self.field.CalcEnergy(places) * unit,
                        "forces": -unit * np.reshape(self.field.CalcGrad(places), (-1, 3))}


def shares(smiles, ensemble, ps, folder):
    """Ratios μ v²/kT, shape (frames, bonds to hydrogen), the first tenth left out, and the number of atoms."""
    atoms = from_smiles(smiles)
    atoms.calc = MMFF(smiles)
    assert atoms.get_chemical_symbols() == [atom.GetSymbol() for atom in atoms.calc.molecule.GetAtoms()]
    relax(atoms, fmax=0.01, steps=1000, quiet=True)
    bonds, masses = Bonds.find(atoms), atoms.get_masses()
    trajectory = folder / "md.traj"
    run_md(atoms, ensemble, TEMPERATURE, TIMESTEP, int(1000 * ps / TIMESTEP), seed=1, trajectory=trajectory,
           trajectory_interval=INTERVAL, quiet=True)
    i, j = (pair[(atoms.numbers[bonds.first] == 1) | (atoms.numbers[bonds.second] == 1)]
            for pair in (bonds.first, bonds.second))
    rows = []
    with Trajectory(trajectory) as frames:
        for frame in frames:
            velocities, along = frame.get_velocities(), frame.positions[j] - frame.positions[i]
            along /= np.linalg.norm(along, axis=1)[:, None]
            rows.append(((velocities[j] - velocities[i]) * along).sum(axis=1) ** 2)
    reduced = masses[i] * masses[j] / (masses[i] + masses[j])
    return np.array(rows[len(rows) // 10:]) * reduced / (units.kB * TEMPERATURE), len(atoms)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smiles", nargs="+", default=MOLECULES)
    parser.add_argument("--ensemble", nargs="+", default=["nvt-nhc", "nvt-bussi", "nvt-langevin"])
    parser.add_argument("--ps", type=float, default=100.0)
    options = parser.parse_args()
    ensembles.SHARING = 0
    for smiles in options.smiles:
        for ensemble in options.ensemble:
            with tempfile.TemporaryDirectory() as folder:
                found, count = shares(smiles, ensemble, options.ps, Path(folder))
            means = np.array([block.mean(axis=0) for block in np.array_split(found, BLOCKS)])
            error = means.mean(axis=1).std(ddof=1) / np.sqrt(BLOCKS)
            each = means.mean(axis=0)
            print(f"{count:3d} atoms {smiles:20s} {ensemble:13s} X-H bonds hold {each.mean():.3f} ± {error:.3f} times "
                  f"their share, {each.min():.2f} to {each.max():.2f}", flush=True)


if __name__ == "__main__":
    main()
