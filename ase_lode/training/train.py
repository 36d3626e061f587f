"""A training run, from a configuration to a potential that has been saved, loaded again and checked."""

import os
import platform
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

import numpy as np

from ase_lode.errors import ConfigError, DataError, LODEError
from ase_lode.hypers import FileConfig, TrainConfig, read_config
from ase_lode.models.baseline import Baseline, compositions, fit_reference_energies
from ase_lode.models.library import load_potential
from ase_lode.models.potential import Potential
from ase_lode.parallel import available_threads
from ase_lode.system import CHEMICAL_SYMBOLS
from ase_lode.training.charges import fit_charges
from ase_lode.training.contact import closest_distances, contact_distances
from ase_lode.training.dataset import read_structures, refuse_undefined, sha256, split
from ase_lode.training.files import write_whole
from ase_lode.training.metrics import compare, has_energies
from ase_lode.training.network_training import NetworkTraining
from ase_lode.training.problem import Problem, Trained
from ase_lode.training.progress import Progress
from ase_lode.training.response_network_training import NetworkResponseTraining
from ase_lode.training.response_training import ResponseTraining
from ase_lode.training.ridge_training import RidgeTraining
from ase_lode.training.rows import KINDS, Scales, label_spreads

#: Relative difference between forces and energy differences above which a saved potential is refused.
FORCE_TOLERANCE = 1e-4
#: Validation structures whose uncertainty, 32 reverse passes each, is compared with their error.
UNCERTAIN = 40


@dataclass(frozen=True)
class Data:
    """The structures of a run.

    Attributes
    ----------
    train, held : list of Structure
        What is fitted, and what validates.
    paths : list of Path
        The files they came from.
    """

    train: list
    held: list
    paths: list

    @property
    def all(self):
        """Training and validation structures."""
        return self.train + self.held


def train(config, data_folder=None, check=False, quiet=False):
    """Fit a potential to one's own data.

    Parameters
    ----------
    config : path or mapping
        The YAML file or its content, see `ase_lode.hypers.TrainConfig`. Relative paths in it resolve against its folder
        (a mapping: against the working directory).
    data_folder : path, optional
        Where to look for data files, before the folder named by ``ASE_LODE_DATA``.
    check : bool
        Read and check configuration and data, say what would be fitted, and stop.
    quiet : bool
        No progress.

    Returns
    -------
    potential : Potential
        Also saved as ``<directory>/<name>.lode``; None with `check`.
    report : dict
        What ``metrics.yaml`` holds.

    Raises
    ------
    ConfigError
        The configuration has unknown keys, values out of range, or asks for charges that nothing determines.
    DataError
        Data are missing, damaged, or lack a requested label.
    """
    start = perf_counter()
    config, folder = read_training(config)
    progress = Progress(quiet)
    data = read_data(config, folder, data_folder, progress)
    model = complete_model(config.model, data)
    baseline, closest = fit_baseline(model, data)
    n_threads = available_threads()
    scales, spreads = residual_scales(config.weights, data, baseline)
    directory = folder / config.output.directory
    problem = Problem(config, model, data, baseline, scales, directory, n_threads)
    kinds = {"ridge": RidgeTraining, "network": NetworkTraining}
    training = kinds[model.head.type](problem) if has_energies(data.train[0]) else NoEnergies(problem)
    plan = {**describe(config, data, spreads), **training.plan()}
    kind = ResponseTraining if config.response.head is None else NetworkResponseTraining
    responding = kind(problem) if config.targets else None
    if responding is not None:
        plan.update(responding.plan())
    progress.say("\n".join(f"{key}: {value}" for key, value in plan.items()))
    if check:
        return None, plan
    fit = training.fit(progress)
    response, outcome = responding.fit(progress) if responding is not None else (None, {})
    card = {"name": config.output.name, **config.output.card, **provenance(config, data, model, closest), **fit.header}
    potential = Potential(model, fit.weights, fit.baseline, card, fit.posterior, fit.ranges, response=response)
    comparisons = {"train": compare(potential, data.train, n_threads, progress, "errors, training")}
    if data.held:
        comparisons["validation"] = compare(potential, data.held, n_threads, progress, "errors, validation",
                                            uncertain=UNCERTAIN)
    report = {**plan, "errors": {part: c.summary() for part, c in comparisons.items()},
              "coverage": {part: c.coverage() for part, c in comparisons.items()}, **fit.report, **outcome}
    potential.header["errors"] = {part: c.summary() for part, c in comparisons.items()}
    potential, report["force_check"] = save_checked(potential, directory, data.train, n_threads)
    report["seconds"] = round(perf_counter() - start, 1)
    write(directory, config, potential, report, comparisons)
    training.clean()
    if responding is not None:
        responding.clean()
    progress.say(f"saved {directory / config.output.name}.lode after {report['seconds']} s")
    return potential, report


class NoEnergies:
    """In place of a head's training when responses alone are fitted."""

    def __init__(self, problem):
        self._baseline = problem.baseline

    def plan(self):
        """Nothing to add."""
        return {}

    def fit(self, progress):
        """No weights."""
        return Trained(None, self._baseline, None, None, {}, {})

    def clean(self):
        """Nothing was left on the way."""


def read_training(config):
    """Checked configuration and the folder that its relative paths resolve against.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML, or its content is refused.
    """
    if isinstance(config, (dict, TrainConfig)):
        return read_config(TrainConfig, config), Path.cwd()
    import yaml

    path = Path(config).expanduser()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration '{path}': {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"'{path}' is not valid YAML ({reason}); correct it.") from None
    return read_config(TrainConfig, content), path.resolve().parent


def read_data(config, folder, data_folder, progress):
    """Training and validation structures, every requested label present."""
    settings = config.data.validation
    where = {"folder": folder, "data_folder": data_folder, "progress": progress, "targets": config.targets}
    source = _needed(config.data.train, config.weights)
    if source.energy is None and source.forces is None and not config.targets:
        raise ConfigError("Neither energies nor forces would be fitted; name data.train.energy or data.train.forces "
                          "and give it a weight, or name targets.")
    structures, paths = read_structures(source, config.data.units, group_by=settings.group_by, **where)
    refuse_undefined(structures, config.targets)
    if settings.file is None:
        train_at, held_at = split(structures, settings, config.seed)
        return Data([structures[k] for k in train_at], [structures[k] for k in held_at], paths)
    given = {"file": settings.file} if isinstance(settings.file, str) else settings.file.model_dump(exclude_unset=True)
    other = read_config(FileConfig, {**source.model_dump(), **given})
    held, more = read_structures(_needed(other, config.weights), config.data.units, **where)
    return Data(structures, held, paths + more)


def _needed(source, weights):
    """The same files without the labels that have no weight."""
    labels = {"energy": ["energy"], "forces": ["forces"], "stress": ["stress", "virial"]}
    unused = [label for kind in KINDS if getattr(weights, kind) == 0 for label in labels[kind]]
    return source.model_copy(update=dict.fromkeys(unused))


def complete_model(model, data):
    """The model with its elements listed and its charges known.

    Raises
    ------
    DataError
        The data hold elements that the model does not list, or the reverse.
    """
    met = sorted({int(z) for s in data.all for z in np.unique(s.system.numbers)})
    met = [CHEMICAL_SYMBOLS[z] for z in met]
    elements = model.elements or met
    if set(elements) != set(met):
        raise DataError(f"model.elements lists {', '.join(elements)}, but the data hold {', '.join(met)}; correct the "
                        "list or leave it out.")
    charges = model.charges
    if charges is None and any(f.sources == "charges" and f.charges is None for f in model.fields):
        charges = fit_charges(data.train, elements)
    return model.model_copy(update={"elements": elements, "charges": charges}).resolved()


def fit_baseline(model, data):
    """The baseline, and the closest distances in Å by pair of elements."""
    elements = tuple(model.elements)
    settings = model.baseline
    closest = closest_distances([s.system for s in data.all], elements, model.density.cutoff)
    if settings.reference_energies != "fit":
        missing = set(elements) - set(settings.reference_energies)
        if missing:
            raise ConfigError(f"model.baseline.reference_energies lacks {', '.join(sorted(missing))}; add them.")
        energies = np.array([settings.reference_energies[e] for e in elements])
    elif data.train[0].energy is None:
        energies = np.zeros(len(elements))
    else:
        energies = fit_reference_energies(compositions([s.system for s in data.train], elements),
                                          np.array([s.energy for s in data.train]), elements,
                                          settings.allow_rank_deficient)
    contact = contact_distances(closest, elements, model.density.cutoff) if settings.repulsion == "zbl" else None
    return Baseline(elements, energies, contact), closest


def residual_scales(weights, data, baseline):
    """Divisors of the residuals, and the spreads of the labels that they come from."""
    spreads = label_spreads(data.train, compositions([s.system for s in data.train], baseline.elements))
    return Scales.of(spreads, {kind: getattr(weights, kind) for kind in KINDS}, data.train), spreads


def describe(config, data, spreads):
    """What will be fitted, in numbers."""
    names = {"energy": "energies", "forces": "forces", "stress": "stresses"}
    return {"name": config.output.name, "seed": config.seed,
            "structures": {"train": len(data.train), "validation": len(data.held)},
            "atoms": int(sum(len(s) for s in data.train)),
            "labels": {names[kind]: sum(getattr(s, kind) is not None for s in data.train) for kind in KINDS
                       if has_energies(data.train[0])},
            "label_spread": {kind: float(spread) for kind, spread in spreads.items()}}


def provenance(config, data, model, closest):
    """What the card says about the data and the run: nothing in it depends on the clock."""
    systems = [s.system for s in data.all]
    volumes = [float(s.measure / len(s)) for s in systems if s.pbc.all()]
    periodicities = sorted({"".join("FT"[int(p)] for p in s.pbc) for s in systems})
    return {
        "seed": config.seed,
        "settings": portable_settings(config),
        "versions": versions(),
        "data": {
            "files": sha256(data.paths), "train": len(data.train), "validation": len(data.held),
            "atoms": [min(map(len, systems)), max(map(len, systems))], "periodicities": periodicities,
            "charges": sorted({float(s.charge) for s in systems}),
            "volume_per_atom": [min(volumes), max(volumes)] if volumes else None,
            "closest": {f"{a}-{b}": round(float(closest[i, k]), 4) for i, a in enumerate(model.elements)
                        for k, b in enumerate(model.elements) if k >= i and np.isfinite(closest[i, k])}}}


def portable_settings(config):
    """The configuration without folders of this machine: they neither matter elsewhere nor change the potential."""
    settings = config.model_dump(mode="json", by_alias=True)
    del settings["output"]["directory"]
    for source in (settings["data"]["train"], settings["data"]["validation"]):
        if isinstance(source["file"], dict):
            source = source["file"]
        names = source["file"] if isinstance(source["file"], list) else [source["file"]]
        names = [Path(name).name if name and Path(name).is_absolute() else name for name in names]
        source["file"] = names if isinstance(source["file"], list) else names[0]
    return settings


def versions():
    """Versions of this package and what its numbers depend on."""
    found = {"python": platform.python_version()}
    for name in ("ase-lode", "numpy", "scipy", "numba", "ase"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def save_checked(potential, directory, structures, n_threads):
    """Save under a temporary name, load, compare derivatives with differences, and only then take the name.

    Forces are compared with differences of the energy or, where there is none, Born charges with those of the dipole.
    A potential that has neither pair is saved unchecked, and the result says so.
    """
    directory.mkdir(parents=True, exist_ok=True)
    final = directory / f"{potential.name}.lode"
    draft = directory / f".{potential.name}.{os.getpid()}.lode"
    try:
        potential.save(draft)
        strained = max(structures, key=lambda s: 0.0 if s.forces is None else np.linalg.norm(s.forces) / len(s))
        checked, whole, deviation = deviation_of(load_potential(draft), strained.system, n_threads)
        if checked is not None and not deviation < FORCE_TOLERANCE:
            raise LODEError(f"The {checked} of the saved potential differ from its {whole} differences by "
                            f"{deviation:.1e}; nothing was written, please report this with the configuration.")
        os.replace(draft, final)
    finally:
        draft.unlink(missing_ok=True)
    return load_potential(final), {"of": checked, "relative_deviation": deviation, "atoms": len(strained)}


def deviation_of(potential, system, n_threads):
    """Derivatives that can be compared with differences, of what, and their relative deviation; None where none can."""
    if potential.weights is not None:
        return "forces", "energy", force_deviation(potential, system, n_threads)
    values = potential.respond(system, n_threads)
    if values.dipole is None or "born_effective_charges" in potential.response.targets:
        return None, None, None
    return "Born charges", "dipole", born_deviation(potential, system, values.born_effective_charges, n_threads)


def force_deviation(potential, system, n_threads=1, step=2e-4):
    """Relative difference between dE/dr along one direction and Richardson's central difference of energies."""
    direction = np.random.default_rng(0).standard_normal(system.positions.shape)
    direction /= np.linalg.norm(direction, axis=1).max()

    gradient = potential.evaluate(system, n_threads=n_threads).gradient
    slope = _slope(lambda moved: potential.evaluate(moved, n_threads=n_threads).energy, system, direction, step)
    return float(abs(slope - np.sum(gradient * direction)) / max(np.linalg.norm(gradient), 1e-3))


def born_deviation(potential, system, charges, n_threads=1, step=2e-4):
    """Relative difference between Born charges along one direction and Richardson's difference of dipoles."""
    direction = np.random.default_rng(0).standard_normal(system.positions.shape)
    direction /= np.linalg.norm(direction, axis=1).max()
    slope = _slope(lambda moved: potential.respond(moved, n_threads, born=False).dipole, system, direction, step)
    expected = np.einsum("iab,ib->a", charges, direction)
    return float(np.linalg.norm(slope - expected) / max(np.linalg.norm(charges), 1e-3))


def _slope(function, system, direction, step):
    """Derivative of a function of a system along a direction, by Richardson's central differences."""
    def difference(h):
        ends = [function(replace(system, positions=system.positions + sign * h * direction)) for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * h)

    return (4 * difference(step / 2) - difference(step)) / 3


def write(directory, config, potential, report, comparisons):
    """`metrics.yaml` and, unless switched off, `report.html`, each whole or not at all."""
    import yaml

    from ase_lode.training.report import html_report

    report["sha256"] = potential.sha256
    write_whole(directory / "metrics.yaml", yaml.safe_dump(report, sort_keys=False, allow_unicode=True))
    if config.output.report == "html":
        write_whole(directory / "report.html", html_report(potential, report, comparisons))
