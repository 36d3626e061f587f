"""How far an ASE calculator can be relied on: graded checks of derivatives, symmetries, cells, input and repetition."""

from importlib import import_module

_HOMES = {"check": "ase_lode.check.run", "Result": "ase_lode.check.results"}
__all__ = list(_HOMES)


def __getattr__(name):
    # At first use: the processes that run a foreign calculator need nothing of ours.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ase_lode.check' has no attribute '{name}'")
