"""Errors of a potential on a file of labelled structures."""

from pathlib import Path

from ase_lode.errors import DataError
from ase_lode.hypers import FileConfig, TargetConfig, UnitsConfig
from ase_lode.models.library import load_potential
from ase_lode.models.potential import Potential
from ase_lode.parallel import available_threads
from ase_lode.training.dataset import read_structures, sha256
from ase_lode.training.metrics import compare
from ase_lode.training.progress import Progress


def evaluate(potential, file, energy_key="energy", forces_key="forces", stress_key=None, report=None, n_threads=None,
             quiet=True, workers=None, response=True):
    """Compare a potential with the labels of a file.

    Parameters
    ----------
    potential : Potential or str
        A potential, its name or its path.
    file : path
        Structures that ASE reads, positions in Å, labels in the units of the training's files (``data.units``).
    energy_key, forces_key, stress_key : str or None
        Keys of the labels; None leaves a label out. A potential without energies needs none of them.
    report : path, optional
        Where to write an HTML page with parity plots.
    n_threads : int, optional
        All processors by default.
    quiet : bool
        No progress.
    workers : int or str, optional
        Number of processes to start, or the address of a Dask scheduler; see `ase_lode.cluster.spread`.
    response : bool
        Whether to compare the response of a potential that has one, under the keys and in the units of its training,
        as far as the structures define it.

    Returns
    -------
    dict
        ``errors`` (root mean square and mean absolute, per label, element and class), ``coverage`` (share of errors
        within one predicted standard deviation), ``structures``, ``file``, the ``units`` that the file was read in, and
        the potential's ``name`` and ``sha256``.

    Raises
    ------
    DataError
        The file is missing or damaged, or lacks a requested label; no label is requested.
    """
    potential = potential if isinstance(potential, Potential) else load_potential(potential)
    if potential.weights is None:
        energy_key = forces_key = stress_key = None
    targets = response_targets(potential) if response else {}
    if energy_key is None and forces_key is None and stress_key is None and not targets:
        raise DataError("No label to compare with; give an energy, forces or stress key.")
    progress = Progress(quiet)
    data = potential.header.get("settings", {}).get("data", {})
    units = UnitsConfig(**data.get("units", {}))
    source = FileConfig(file=str(file), energy=energy_key, forces=forces_key, stress=stress_key,
                        isolated=data.get("train", {}).get("isolated", False))
    structures, paths = read_structures(source, units, progress=progress, targets=targets)
    if energy_key is None and forces_key is None and stress_key is None and not any(s.response for s in structures):
        raise DataError(f"The structures define none of {', '.join(targets)}; check their cells and pbc.")
    comparison = compare(potential, structures, n_threads or available_threads(), progress, "evaluating",
                         workers=workers)
    result = {"name": potential.name, "sha256": potential.sha256, "file": sha256(paths), "structures": len(structures),
              "units": units.model_dump(), "errors": comparison.summary(), "coverage": comparison.coverage()}
    if report is not None:
        from ase_lode.training.files import write_whole
        from ase_lode.training.report import html_report

        write_whole(Path(report), html_report(potential, result, {"test": comparison}))
    return result


def response_targets(potential):
    """Targets of a potential's response model, as its training read them."""
    known = {} if potential.response is None else potential.response.targets
    return {name: TargetConfig(key=entry["key"], unit=entry["unit"] or None, origin=entry["origin"] or None,
                               systems=entry["systems"]) for name, entry in known.items()}
