"""A peptide moved by OpenMM, its forces from the potential through openmmml."""

import argparse
from pathlib import Path

import ase.io
import openmm
from ase import units
from openmm import app, unit
from openmmml import MLPotential

from ase_lode import LODECalculator, relax

POTENTIAL = "dipeptides"
TEMPERATURE = 300 * unit.kelvin
FRICTION = 1 / unit.picosecond
TIMESTEP = 0.5 * unit.femtosecond

HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

atoms = ase.io.read(HERE.parent / "peptide" / "peptide.xyz")
atoms.calc = LODECalculator(POTENTIAL)
relax(atoms, fmax=0.1)  # rather than minimizeEnergy, whose first steps lead out of the potential's training range
topology = app.Topology()  # openmm.app.PDBFile("peptide.pdb").topology where there is a PDB file
residue = topology.addResidue("PEP", topology.addChain())
for symbol in atoms.symbols:
    topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
system = MLPotential("ase").createSystem(topology, calculator=atoms.calc, info=atoms.info)

# The Reference platform computes in double precision; the potential takes the time anyway.
simulation = app.Simulation(topology, system, openmm.LangevinMiddleIntegrator(TEMPERATURE, FRICTION, TIMESTEP),
                            openmm.Platform.getPlatformByName("Reference"))
simulation.context.setPositions(atoms.positions * unit.angstrom)
simulation.context.setVelocitiesToTemperature(TEMPERATURE, 1)
simulation.reporters += [
    app.DCDReporter(str(options.out / "md.dcd"), 10),
    app.StateDataReporter(str(options.out / "md.csv"), 10, step=True, potentialEnergy=True, temperature=True)]
simulation.step(options.steps)

state = simulation.context.getState(positions=True, energy=True, forces=True)
atoms.positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
atoms.calc = LODECalculator(POTENTIAL)  # anew, for the other remembers what it told OpenMM
energy = state.getPotentialEnergy() / unit.kilojoules_per_mole * units.kJ / units.mol
forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoules_per_mole / unit.angstrom) * units.kJ / units.mol
print(f"OpenMM and plain calculator differ by {abs(energy - atoms.get_potential_energy()):.1e} eV and "
      f"{abs(forces - atoms.get_forces()).max():.1e} eV/Å")
