"""Many structures, one independent of the other: `evaluate_many` and `relax_many`."""

import warnings
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.outputs import all_outputs

from ase_lode.calculator import ExtrapolationWarning
from ase_lode.cluster import spread
from ase_lode.dynamics.observers import add_response, snapshot
from ase_lode.dynamics.relax import relax
from ase_lode.errors import ConfigError, LODEError

#: Names under which files have results, or labels.
RESULTS = (*all_outputs, "polarizability")


class Outcome(NamedTuple):
    """A relaxed copy with its energy and forces, whether it converged, steps, largest force, and what stopped it."""

    atoms: Atoms
    converged: bool
    steps: int
    fmax: float
    error: str | None


class Evaluation(NamedTuple):
    """A copy with its results and none of its labels, what there is to say against them, and what stopped it."""

    atoms: Atoms
    doubts: list
    error: str | None


def evaluate_many(structures, calc, workers=None):
    """What a calculator gives and each structure defines.

    Parameters
    ----------
    structures : iterable of ase.Atoms
        Not changed.
    calc : ase.calculators.calculator.Calculator
        For all of them; with workers, one that can be pickled.
    workers : int or str, optional
        Number of processes to start, or the address of a Dask scheduler; see `ase_lode.cluster.spread`.

    Yields
    ------
    Evaluation
        In the order of the structures. Energy, forces (eV, eV/Å), stress, dipole (e·Å, about the origin) and dielectric
        tensor are results of ASE; `info["polarizability"]` (Å³) and the rows `arrays["born_effective_charges"]` (e)
        are not. A structure that cannot be evaluated has its reason as `error` and stops none of the others.

    Raises
    ------
    WorkerError
        See `ase_lode.cluster.spread`.
    """
    return spread(partial(_evaluate, calc), structures, workers, batch=16)


def _evaluate(calc, atoms, n_threads):
    frame, error = atoms.copy(), None
    for name in RESULTS:  # labels of the input are none
        frame.info.pop(name, None)
        frame.arrays.pop(name, None)
    moving = _with(calc, frame.copy(), n_threads)
    frame.calc = SinglePointCalculator(frame)
    with _doubts() as doubts:
        try:
            if "energy" in calc.implemented_properties:
                frame.calc.results.update(snapshot(moving).calc.results)
            if getattr(getattr(calc, "potential", None), "response", None) is not None:  # of a calculator of ours
                add_response(frame, calc.respond(moving))
        except LODEError as reason:
            error = str(reason)
    return Evaluation(frame, doubts, error)


@contextmanager
def _doubts():
    """A list that takes the texts of extrapolation warnings; other warnings go their way."""
    texts = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ExtrapolationWarning)
        yield texts
    for one in caught:
        if issubclass(one.category, ExtrapolationWarning):
            texts.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


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
