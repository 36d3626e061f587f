"""Many structures, one independent of the other: their results, and `relax_many`."""

from functools import partial
from typing import NamedTuple

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ase_lode.cluster import spread
from ase_lode.dynamics.observers import snapshot
from ase_lode.dynamics.relax import relax
from ase_lode.errors import ConfigError, LODEError


class Outcome(NamedTuple):
    """A relaxed copy with its energy and forces, whether it converged, steps, largest force, and what stopped it."""

    atoms: Atoms
    converged: bool
    steps: int
    fmax: float
    error: str | None


def evaluated(calc, atoms, n_threads):
    """A copy with what a potential gives and the structure defines; for `spread`.

    ASE has no name for polarizabilities, so files have them in `info`, nine numbers.
    """
    atoms, results = _with(calc, atoms.copy(), n_threads), {}
    atoms.info.pop("polarizability", None)  # a label is no result
    if "energy" in calc.implemented_properties:
        results |= snapshot(atoms).calc.results
    if getattr(getattr(calc, "potential", None), "response", None) is not None:  # other calculators have no potential
        results |= calc.respond(atoms)
    frame = atoms.copy()
    if "polarizability" in results:
        frame.info["polarizability"] = results["polarizability"].ravel()
    frame.calc = SinglePointCalculator(frame)
    frame.calc.results.update(results)
    return frame


def relax_many(structures, calc, workers=None, **settings):
    """Relax copies of many structures.

    Parameters
    ----------
    structures : iterable of ase.Atoms
        Not changed.
    calc : ase.calculators.calculator.Calculator
        For all of them; with workers, one that can be pickled.
    workers : int or str, optional
        Number of processes to start, or the address of a Dask scheduler; see `ase_lode.cluster.spread`.
    **settings
        Keywords of `relax` that name no file: fmax, optimizer, cell, pressure_GPa, symmetry, steps.

    Yields
    ------
    Outcome
        In the order of the structures, each as soon as it and all before it are done. A structure that cannot be
        relaxed has its reason as `error`, no results, and stops none of the others.

    Raises
    ------
    ConfigError, WorkerError
        A setting names a file; see `ase_lode.cluster.spread`.
    """
    if named := {"trajectory", "log", "plot"} & settings.keys():
        raise ConfigError(f"All structures would write to one {min(named)}; relax them one by one with relax().")
    copies = (atoms.copy() for atoms in structures)
    return spread(partial(_relax, calc, settings), copies, workers)


def _relax(calc, settings, atoms, n_threads):
    _with(calc, atoms, n_threads)
    try:
        result = relax(atoms, **settings, quiet=True)
        return Outcome(snapshot(atoms), result.converged, result.steps, result.fmax, None)
    except LODEError as error:
        return Outcome(atoms.copy(), False, 0, float("nan"), str(error))


def _with(calc, atoms, n_threads):
    if n_threads is not None:
        calc._n_threads = n_threads
    atoms.calc = calc
    return atoms
