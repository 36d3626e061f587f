"""What a potential is run for: relaxation, molecular dynamics and the analysis of trajectories."""

from ase_lode.dynamics.many import relax_many
from ase_lode.dynamics.md import run_md
from ase_lode.dynamics.relax import relax

__all__ = ["relax", "relax_many", "run_md"]
