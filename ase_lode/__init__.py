"""Multi-scale machine-learning potentials for ASE: local densities and long-range fields (LODE), exact and fast.

Glossary
--------
density : ρ, the neighbours inside a cutoff, expanded about each atom.
field : V, the 1/r^p potential of all atoms as seen inside an environment; `exterior` leaves out the neighbours.
strength : what a source carries into a field, an element's unit or a charge.
invariant : a product of two expansions summed over m, unchanged by rotation; the features of a model.
head : what turns features into energies. baseline : what is subtracted before fitting (reference energies, repulsion).
potential : a fitted model that one can run. kernel : the Fourier transform of a power law in a given periodicity.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "LODECalculator": "ase_lode.calculator",
    "ExtrapolationWarning": "ase_lode.calculator",
    "expansions": "ase_lode.features.expansions",
    "list_potentials": "ase_lode.models.library",
    "load_potential": "ase_lode.models.library",
    "relax": "ase_lode.dynamics",
    "relax_many": "ase_lode.dynamics",
    "run_md": "ase_lode.dynamics",
    "train": "ase_lode.training",
}
__all__ = list(_HOMES)


def __getattr__(name):
    # Public names are imported at first use: `import ase_lode` and the command line's help stay fast.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ase_lode' has no attribute '{name}'")


def __dir__():
    return sorted([*globals(), *__all__])
