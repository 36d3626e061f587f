"""The long-range engine: smooth fields of point sources with strengths, and their adjoints."""

from ase_lode.field.accuracy import choose, reach
from ase_lode.field.direct import DirectExterior, DirectIsolated
from ase_lode.field.ewald import EwaldSum, FullReciprocal
from ase_lode.field.mesh import ParticleMesh
from ase_lode.field.power_law import PowerLaw, background

__all__ = ["DirectExterior", "DirectIsolated", "EwaldSum", "FullReciprocal", "ParticleMesh", "PowerLaw", "background",
           "choose", "reach"]
