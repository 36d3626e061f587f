"""torch-pme: the Coulomb energy of fixed charges alone, by P3M, with forces and virial by automatic differentiation."""

import numpy as np
import torch
import torchpme
import vesin

#: In Å: forces to 1e-5 relative, the default of ase_lode.
CUTOFF, SMEARING, SPACING = 5.0, 1.1, 0.8


def prepare(atoms):
    torch.set_default_dtype(torch.float64)
    calculator = torchpme.P3MCalculator(torchpme.CoulombPotential(smearing=SMEARING), mesh_spacing=SPACING,
                                        interpolation_nodes=5)
    charges = torch.tensor(np.where(atoms.numbers == 8, -0.8, 0.4)[:, None])
    cell = torch.tensor(atoms.cell.array)
    neighbors = vesin.NeighborList(cutoff=CUTOFF, full_list=False)

    def evaluate():
        pairs = neighbors.compute(atoms.positions, atoms.cell.array, True, quantities="ijS")
        i, j, shifts = (torch.from_numpy(part.astype(np.int64)) for part in pairs)
        strain = torch.eye(3, requires_grad=True)
        positions = torch.tensor(atoms.positions, requires_grad=True)
        strained, box = positions @ strain, cell @ strain
        distances = torch.linalg.norm(strained[j] - strained[i] + shifts.to(box) @ box, dim=1)
        potential = calculator(charges, box, strained, torch.stack([i, j], dim=1), distances)
        (charges * potential).sum().backward()
        return positions.grad, strain.grad

    return evaluate
