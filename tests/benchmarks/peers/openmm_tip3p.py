"""OpenMM: rigid TIP3P water with particle mesh Ewald, energy and forces."""

import openmm
from openmm import app


def prepare(atoms):
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(len(atoms) // 3):
        residue = topology.addResidue("HOH", chain)
        oxygen, *hydrogens = [topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
                              for name in ("O", "H1", "H2")]
        for hydrogen in hydrogens:
            topology.addBond(oxygen, hydrogen)
    topology.setPeriodicBoxVectors(atoms.cell.array / 10)
    system = app.ForceField("tip3p.xml").createSystem(topology, nonbondedMethod=app.PME, nonbondedCutoff=0.6)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("CPU"))

    def evaluate():
        context.setPositions(atoms.positions / 10)
        return context.getState(getEnergy=True, getForces=True).getPotentialEnergy()

    return evaluate
