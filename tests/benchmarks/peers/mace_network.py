"""MACE: 64 scalar channels, two layers, correlation 3, float32, random weights."""

import numpy as np
import torch
from mace.calculators import MACECalculator
from mace.modules import ScaleShiftMACE, interaction_classes


def prepare(atoms):
    from e3nn.o3 import Irreps  # after mace, which sets how torch reads its tables

    block = interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = ScaleShiftMACE(
        atomic_inter_scale=1.0, atomic_inter_shift=0.0, r_max=5.0, num_bessel=8, num_polynomial_cutoff=5, max_ell=3,
        interaction_cls=block, interaction_cls_first=block, num_interactions=2, num_elements=2,
        hidden_irreps=Irreps("64x0e"), MLP_irreps=Irreps("16x0e"), atomic_energies=np.zeros(2), avg_num_neighbors=50.0,
        atomic_numbers=[1, 8], correlation=3, gate=torch.nn.functional.silu)
    calc = MACECalculator(models=[model.float()], device="cpu", default_dtype="float32")
    return lambda: calc.calculate(atoms)
