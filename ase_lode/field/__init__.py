"""The long-range engine: smooth fields of point sources with strengths, and their adjoints."""

from ase_lode.field.accuracy import DENSITY, choose, reach
from ase_lode.field.direct import DirectExterior, DirectIsolated
from ase_lode.field.ewald import EwaldSum, FullReciprocal
from ase_lode.field.mesh import ParticleMesh, box_lengths
from ase_lode.field.power_law import PowerLaw, background

__all__ = ["DENSITY", "DirectExterior", "DirectIsolated", "EwaldSum", "FullReciprocal", "ParticleMesh", "PowerLaw",
           "background", "box_lengths", "choose", "reach"]
