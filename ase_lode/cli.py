"""The command line `ase-lode`: parse, call, print.

Everything heavy is imported inside the commands, so that `--help` answers at once.
"""

import functools
import inspect
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

HELP = {"rich_markup_mode": None, "pretty_exceptions_enable": False, "no_args_is_help": True}
app = typer.Typer(help="Multi-scale machine-learning potentials: run them, train them, judge them.",
                  add_completion=False, **HELP)
data = typer.Typer(help="Look at training data.", **HELP)
analyze = typer.Typer(help="Analyse a trajectory.", **HELP)
app.add_typer(data, name="data")
app.add_typer(analyze, name="analyze")


def main():
    """Entry point of the command `ase-lode`."""
    app(prog_name="ase-lode")


def _read_config(context: typer.Context, path: Path | None):
    """Make the keys of a YAML file the defaults of the command's options; flags win."""
    if path is None:
        return None
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            given = yaml.safe_load(file) or {}
    except OSError as error:
        raise typer.BadParameter(f"'{path}' cannot be read ({error.strerror}).") from error
    except yaml.YAMLError as error:
        raise typer.BadParameter(f"'{path}' is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(given, dict):
        raise typer.BadParameter(f"'{path}' must hold keys and values, one option per line.")
    names, many = {}, {parameter.name for parameter in context.command.params if parameter.nargs == -1}
    for parameter in context.command.params:
        for spelling in (parameter.name, *parameter.opts):
            names[spelling.lstrip("-").replace("-", "_")] = parameter.name
    for key in given:
        if str(key).replace("-", "_") not in names:
            from ase_lode.dynamics.settings import nearest

            raise typer.BadParameter(f"Unknown key '{key}' in '{path}'; {nearest(key, sorted(names))}")
    context.default_map = {}
    for key, value in given.items():
        name = names[str(key).replace("-", "_")]
        context.default_map[name] = [value] if name in many and not isinstance(value, list) else value
    return path


Config = Annotated[Path | None, typer.Option("--config", is_eager=True, callback=_read_config,
                                                help="YAML file with options; flags win.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
PotentialOption = Annotated[str, typer.Option("-p", "--potential", help="Name or file of the potential.")]
PotentialName = Annotated[str, typer.Argument(metavar="POTENTIAL", help="Name or file of the potential.")]
Structure = Annotated[str, typer.Argument(metavar="STRUCTURE", help="File that ASE reads; 'file@3' is its frame 3.")]
Trajectory = Annotated[Path, typer.Argument(metavar="TRAJECTORY", help="Frames of a run.")]
Workers = Annotated[str | None, typer.Option(help="Number of processes, or address of a Dask scheduler "
                                                  "(tcp://host:8786); one by one here by default.")]
Interval = Annotated[float | None, typer.Option("--frame-fs", help="Time between frames in fs, if they lack it.")]


def command(group, name):
    """Register a command, adding --config and --debug, and turning errors into a sentence and status 1."""

    def register(function):
        @functools.wraps(function)
        def run(*arguments, config=None, debug=False, **options):
            try:
                function(*arguments, **options)
            except (typer.Exit, typer.Abort, typer.BadParameter):
                raise
            except (Exception, KeyboardInterrupt) as error:
                if debug:
                    raise
                typer.echo(f"Error: {_sentence(error)}", err=True)
                raise typer.Exit(1) from None

        extra = {"config": Config, "debug": Debug}
        signature = inspect.signature(function)
        added = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind,
                                   default=None if key == "config" else False) for key, kind in extra.items()]
        run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *added])
        run.__annotations__ = {**function.__annotations__, **extra}
        return group.command(name)(run)

    return register


def _sentence(error):
    from ase_lode.errors import LODEError

    if isinstance(error, LODEError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return f"'{error.filename or error}' does not exist; check the path."
    if isinstance(error, OSError) and error.strerror:
        return f"'{error.filename}': {error.strerror}."
    if isinstance(error, KeyboardInterrupt):
        return "interrupted."
    text = " ".join(str(error).split())
    return f"{text[:300] or type(error).__name__} ({type(error).__name__}; --debug shows where)."


@command(app, "potentials")
def potentials():
    """List the shipped potentials."""
    from ase_lode.models.library import list_potentials

    rows = list_potentials()
    for row in rows:
        typer.echo(f"{row['name']:<24} {' '.join(row['elements']):<16} {row['size'] / 1e6:6.1f} MB  "
                   f"{row['sha256'][:12]}  {row['level_of_theory']}")
        if row["errors"]:
            typer.echo(f"{'':<24} errors: {_inline(row['errors'])}")
    if not rows:
        typer.echo("No potentials are shipped with this installation.")


@command(app, "info")
def info(potential: PotentialName):
    """Show the card of a potential."""
    from ase_lode.models.library import load_potential

    loaded = load_potential(potential)
    typer.echo(_yaml({"name": loaded.name, "elements": loaded.elements, "sha256": loaded.sha256, **loaded.header}))


@command(app, "verify")
def verify(potential: PotentialName):
    """Check a potential file: version, shapes, finiteness, checksum."""
    from ase_lode.models.library import verify as check

    card = check(potential)
    typer.echo(f"{card.get('name', potential)}: whole and readable, SHA-256 {card['sha256']}")


@command(app, "build")
def build(
    source: Annotated[str, typer.Argument(metavar="SMILES|FILE.PDB", help="A molecule, or a peptide.")],
    ph: Annotated[float, typer.Option("--ph", help="Decides the hydrogens of a peptide.")] = 7.0,
    seed: Annotated[int, typer.Option(help="Picks the conformer of a molecule.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="Structure.")] = Path("built.extxyz"),
    quiet: Quiet = False,
):
    """A starting structure: a molecule from SMILES, or a peptide from a PDB file with its hydrogens, checked."""
    from ase_lode.dynamics.molecules import from_pdb, from_smiles

    summary = _Summary("build")
    is_pdb = source.lower().endswith(".pdb")
    atoms = from_pdb(source, ph, seed) if is_pdb else from_smiles(source, seed)
    atoms.write(out, format="extxyz")
    facts = {"formula": atoms.get_chemical_formula(), **atoms.info}
    summary.write(out, settings={"source": source, "ph": ph, "seed": seed}, results=facts)
    if not quiet:
        typer.echo(f"{_inline(facts)}: '{out}'")


@command(app, "singlepoint")
def singlepoint(
    structure: Structure,
    potential: PotentialOption,
    out: Annotated[Path | None, typer.Option("--out", help="Output file; STRUCTURE_singlepoint.extxyz.")] = None,
    workers: Workers = None,
    quiet: Quiet = False,
):
    """Energy, forces and stress of every frame of a file."""
    import numpy as np
    from ase.io import read, write

    from ase_lode.cluster import spread
    from ase_lode.dynamics.many import evaluated

    summary = _Summary("singlepoint")
    out = out or _beside(structure, "_singlepoint.extxyz")
    calc = _calculator(potential)
    frames = []
    structures = read(structure, **({} if "@" in structure else {"index": ":"}))
    structures = structures if isinstance(structures, list) else [structures]
    for index, frame in enumerate(spread(functools.partial(evaluated, calc), structures, workers, batch=16)):
        frames.append(frame)
        largest = np.linalg.norm(frame.get_forces(apply_constraint=False), axis=1).max()
        if not quiet:
            typer.echo(f"{index}: {frame.get_chemical_formula()}, energy {frame.get_potential_energy():.6f} eV, "
                       f"largest force {largest:.4f} eV/Å")
    write(out, frames)
    summary.write(out, calc=calc, settings={"structure": structure, "workers": workers},
                  results={"structures": len(frames)})


@command(app, "relax")
def relax(
    structure: Annotated[list[str], typer.Argument(metavar="STRUCTURE...", help="Files that ASE reads, or folders of "
                                                   "them; 'file@3' is frame 3, 'file@:' all frames.")],
    potential: PotentialOption,
    fmax: Annotated[float, typer.Option(help="Largest force at convergence in eV/Å.")] = 0.02,
    optimizer: Annotated[str, typer.Option(help="ASE optimizer: lbfgs, bfgs, fire, ...")] = "lbfgs",
    cell: Annotated[str, typer.Option(help="Free strains: none, shape, volume, full, xy.")] = "none",
    pressure: Annotated[float, typer.Option(help="External pressure in GPa.")] = 0.0,
    symmetry: Annotated[bool, typer.Option("--symmetry", help="Keep the space group.")] = False,
    steps: Annotated[int, typer.Option(help="Largest number of steps.")] = 500,
    out: Annotated[Path | None, typer.Option("--out", help="Relaxed structures; STRUCTURE_relaxed.extxyz.")] = None,
    trajectory: Annotated[Path | None, typer.Option(help="Every step (.traj, .extxyz).")] = None,
    workers: Workers = None,
    quiet: Quiet = False,
):
    """Relax a structure, or many in files and folders; status 1 if one did not converge."""
    from ase.io import write

    from ase_lode.dynamics import relax as run
    from ase_lode.dynamics.observers import snapshot

    summary = _Summary("relax")
    out = out or _beside(structure[0], "_relaxed.extxyz")
    structures = _read_all(structure)
    calc = _calculator(potential)
    settings = {"fmax": fmax, "optimizer": optimizer, "cell": cell, "pressure_GPa": pressure, "symmetry": symmetry,
                "steps": steps}
    if len(structures) > 1 or workers is not None:
        results = _relax_many(structures, calc, settings, trajectory, out, workers, quiet)
        summary.write(out, calc=calc, settings={"structure": structure, **settings, "workers": workers},
                      results=results)
        if results["converged"] < results["structures"]:
            typer.echo(f"Error: {results['structures'] - results['converged']} of {results['structures']} structures "
                       f"did not converge; see '{out.with_suffix('.csv')}'.", err=True)
            raise typer.Exit(1)
        return
    atoms, = structures.values()
    atoms.calc = calc
    result = run(atoms, **settings, trajectory=trajectory, log=out.with_suffix(".csv"), plot=out.with_suffix(".png"),
                 quiet=quiet)
    write(out, snapshot(atoms))
    energy = float(atoms.get_potential_energy())
    summary.write(out, calc=calc, settings={"structure": structure[0], **settings},
                  results={"converged": result.converged, "steps": result.steps, "fmax": result.fmax, "energy": energy})
    outcome = "converged" if result.converged else "not converged"
    message = f"{outcome} after {result.steps} steps: energy {energy:.6f} eV, largest force {result.fmax:.4f} eV/Å"
    if not result.converged:
        typer.echo(f"Error: {message}; raise --steps or --fmax, or continue from '{out}'.", err=True)
        raise typer.Exit(1)
    if not quiet:
        typer.echo(message)


def _read_all(names):
    """Structures of files and folders by their names; a file without '@' gives its last frame."""
    from ase.io import read

    from ase_lode.errors import ConfigError

    paths = []
    for name in names:
        inside = sorted(str(path) for path in Path(name).iterdir() if path.is_file()) if Path(name).is_dir() else [name]
        paths += [path for path in inside if not Path(path).name.startswith(".")]
    structures = {}
    for path in paths:
        found = read(path)
        for index, atoms in enumerate(found if isinstance(found, list) else [found]):
            structures[f"{path}[{index}]" if isinstance(found, list) else path] = atoms
    if not structures:
        raise ConfigError(f"There are no structures in {', '.join(names)}; check the path.")
    return structures


def _relax_many(structures, calc, settings, trajectory, out, workers, quiet):
    """Relax structures and write each, and its row of a table, as soon as it is done."""
    import csv

    from ase.io.extxyz import write_extxyz

    from ase_lode.dynamics.many import relax_many
    from ase_lode.errors import ConfigError

    if trajectory is not None:
        raise ConfigError("--trajectory is for one structure; leave it out or relax them one by one.")
    out.parent.mkdir(parents=True, exist_ok=True)
    converged = 0
    with (open(out, "w", encoding="utf-8") as frames,
          open(out.with_suffix(".csv"), "w", newline="", encoding="utf-8") as table):
        rows = csv.writer(table)
        rows.writerow(["structure", "formula", "converged", "steps", "energy_eV", "fmax_eV_A", "error"])
        for name, result in zip(structures, relax_many(structures.values(), calc, workers, **settings)):
            atoms, energy = result.atoms, None
            if result.error is None:
                energy = atoms.get_potential_energy()
            atoms.info["structure"] = name
            write_extxyz(frames, [atoms])
            rows.writerow([name, atoms.get_chemical_formula(), result.converged, result.steps, energy, result.fmax,
                           result.error])
            frames.flush()
            table.flush()
            converged += result.converged
            if not quiet:
                outcome = result.error or (f"{'converged' if result.converged else 'not converged'} after "
                                           f"{result.steps} steps, energy {energy:.6f} eV")
                typer.echo(f"{name}: {outcome}")
    return {"structures": len(structures), "converged": converged}


@command(app, "md")
def md(
    structure: Annotated[str | None, typer.Argument(metavar="STRUCTURE", help="File that ASE reads.")] = None,
    potential: Annotated[str | None, typer.Option("-p", "--potential", help="Name or file of the potential.")] = None,
    ensemble: Annotated[str | None, typer.Option(help="nve, nvt-bussi, nvt-langevin, nvt-nhc, npt-mtk, npt-mtk-iso, "
                                                      "npt-xy.")] = None,
    temperature_K: Annotated[str | None, typer.Option("-T", "--temperature", help="K, or a ramp as 300,600.")] = None,
    timestep_fs: Annotated[float | None, typer.Option("--dt", "--timestep", help="Time step in fs.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of steps in all.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of velocities and thermostat.")] = None,
    pressure_GPa: Annotated[str | None, typer.Option("--pressure", help="GPa, or a ramp as 0,5.")] = None,
    friction_per_ps: Annotated[float | None, typer.Option("--friction", help="Langevin friction in 1/ps.")] = None,
    taut_fs: Annotated[float | None, typer.Option("--taut", help="Coupling time of the thermostat in fs.")] = None,
    taup_fs: Annotated[float | None, typer.Option("--taup", help="Coupling time of the barostat in fs.")] = None,
    log_interval: Annotated[int | None, typer.Option(help="Steps between rows of the log.")] = None,
    trajectory_interval: Annotated[int | None, typer.Option(help="Steps between frames.")] = None,
    checkpoint_interval: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    minimise: Annotated[bool | None, typer.Option("--minimise", help="Relax the positions first.")] = None,
    on_broken_bonds: Annotated[str | None, typer.Option(help="stop or ignore, when a covalent bond of the start "
                                                             "breaks.")] = None,
    on_extrapolation: Annotated[str | None, typer.Option(help="warn, stop or ignore, outside the training "
                                                              "range.")] = None,
    uncertainty: Annotated[bool | None, typer.Option("--uncertainty", help="Log the energy's uncertainty.")] = None,
    restart: Annotated[Path | None, typer.Option(help="Checkpoint to continue from.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Trajectory; log, checkpoint, plot and summary stand beside "
                                                           "it. STRUCTURE_md.traj.")] = None,
    quiet: Quiet = False,
):
    """Run molecular dynamics, or continue it bit for bit with --restart."""
    from ase_lode.dynamics import run_md

    summary = _Summary("md")
    given = {"ensemble": ensemble, "temperature_K": _numbers("temperature", temperature_K), "timestep_fs": timestep_fs,
             "steps": steps, "seed": seed, "pressure_GPa": _numbers("pressure", pressure_GPa), "minimise": minimise,
             "friction_per_ps": friction_per_ps, "taut_fs": taut_fs, "taup_fs": taup_fs, "log_interval": log_interval,
             "trajectory_interval": trajectory_interval, "checkpoint_interval": checkpoint_interval, "quiet": quiet,
             "on_broken_bonds": on_broken_bonds}
    keywords = {"on_extrapolation": on_extrapolation, "uncertainty": uncertainty}
    calc = None if potential is None else _calculator(potential, **{k: v for k, v in keywords.items() if v is not None})
    if restart is not None:
        beside = restart.with_name(restart.name.removesuffix(".npz").removesuffix(".ckpt") + ".png")
        result = run_md(restart=restart, calc=calc, plot=beside, **given)
    else:
        beside, atoms = _md_input(structure, potential, out)
        result = run_md(atoms, calc=calc, trajectory=beside, log=beside.with_suffix(".csv"),
                        checkpoint=beside.with_suffix(".ckpt.npz"), plot=beside.with_suffix(".png"), **given)
    summary.write(beside, calc=result.atoms.calc, settings=result.settings,
                  results={"steps": result.steps, "time_ps": result.time_ps})
    if not quiet:
        typer.echo(f"{result.steps} steps, {result.time_ps:g} ps: '{result.settings['trajectory']}'")


def _md_input(structure, potential, out):
    """Path of the trajectory and the atoms of a new run."""
    from ase.io import read

    from ase_lode.errors import ConfigError

    if structure is None or potential is None:
        raise ConfigError("Give a structure and a potential (-p), or a checkpoint with --restart.")
    return out or _beside(structure, "_md.traj"), read(structure)


@command(app, "train")
def train(
    recipe: Annotated[Path, typer.Argument(metavar="TRAIN.YAML", help="Model, data, weights and output.")],
    folder: Annotated[Path | None, typer.Option("--data", help="Folder of data files named without one.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Read and check everything, then stop.")] = False,
    quiet: Quiet = False,
):
    """Fit a potential to one's own data."""
    from ase_lode.training import train as run
    from ase_lode.training.train import read_training

    summary = _Summary("train")
    potential, report = run(recipe, data_folder=folder, check=check, quiet=quiet)
    config, folder_of_recipe = read_training(recipe)
    out = folder_of_recipe / config.output.directory / f"{config.output.name}.lode"
    summary.write(recipe if check else out, potential=potential, seed=config.seed, results=report,
                  settings={"recipe": str(recipe), "data": folder, "check": check})
    if not quiet:
        typer.echo(_yaml(report))


@command(app, "eval")
def evaluate(
    potential: PotentialName,
    file: Annotated[Path, typer.Argument(metavar="TEST.EXTXYZ", help="Labelled structures.")],
    energy_key: Annotated[str, typer.Option(help="Key of the energy; 'none' leaves it out.")] = "energy",
    forces_key: Annotated[str, typer.Option(help="Key of the forces; 'none' leaves them out.")] = "forces",
    stress_key: Annotated[str | None, typer.Option(help="Key of the stress.")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML page with parity plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    workers: Workers = None,
    quiet: Quiet = False,
):
    """Errors of a potential on labelled structures."""
    import json

    from ase_lode.models.library import load_potential
    from ase_lode.training import evaluate as run

    summary = _Summary("eval")
    loaded = load_potential(potential)
    keys = {name: None if key in (None, "none") else key for name, key in
            (("energy_key", energy_key), ("forces_key", forces_key), ("stress_key", stress_key))}
    result = run(loaded, file, **keys, report=report, quiet=quiet or as_json, workers=workers)
    summary.write(report or _beside(str(file), "_eval.html"), potential=loaded,
                  settings={"file": str(file), **keys, "workers": workers},
                  results=result)
    typer.echo(json.dumps(_plain(result), indent=2) if as_json else _yaml(result))


@command(app, "check")
def check(
    calculator: Annotated[str, typer.Argument(metavar="POTENTIAL|MODULE:CALCULATOR", help="Name or file of a "
                                              "potential, or a class, function or instance of any ASE calculator.")],
    files: Annotated[list[str] | None, typer.Argument(metavar="[STRUCTURE]...", help="Files that ASE reads; by default "
                                                      "small structures of elements it knows.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
):
    """Grade how far any ASE calculator can be relied on; status 1 if it fails a must."""
    import json

    from rich.console import Console

    from ase_lode.check import check as run
    from ase_lode.check.structures import read_all
    from ase_lode.check.subject import load
    from ase_lode.check.table import summary, table

    results = run(load(calculator), read_all(files) if files else None, quiet=quiet)
    failed = any(result.status == "fail" for result in results)
    if as_json:
        content = {"calculator": calculator, "passed": not failed, "results": [one.to_dict() for one in results]}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        console = Console()
        console.print(table(results, calculator))
        console.print(summary(results), highlight=False)
    if failed:
        raise typer.Exit(1)


@command(data, "lint")
def lint(files: Annotated[list[Path], typer.Argument(metavar="TRAIN.EXTXYZ...", help="Files meant to be joined.")]):
    """Report what files of structures hold and what is wrong with them."""
    from ase_lode.training import lint as run

    summary = _Summary("data lint")
    findings = run(files)
    summary.write(_beside(str(files[0]), "_lint.txt"), settings={"files": files},
                  results={"facts": findings.facts, "warnings": findings.warnings})
    typer.echo(findings.text)


@command(analyze, "rdf")
def rdf(
    trajectory: Trajectory,
    r_max: Annotated[float, typer.Option(help="Largest distance in Å.")] = 6.0,
    bins: Annotated[int, typer.Option(help="Number of bins.")] = 120,
    pairs: Annotated[str | None, typer.Option(help="Pairs of elements, as O-O,O-H; all by default.")] = None,
    quiet: Quiet = False,
):
    """Radial distribution functions."""
    from ase_lode.dynamics.analysis import radial_distribution

    _analyze(trajectory, "rdf", ("r (Å)", "g(r)"), {"r_max": r_max, "bins": bins, "pairs": pairs}, quiet,
             lambda frames: radial_distribution(frames, r_max, bins, pairs.split(",") if pairs else None))


@command(analyze, "msd")
def msd(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Mean square displacements and diffusion coefficients per element, from unwrapped positions."""
    from ase_lode.dynamics.analysis import diffusion, frame_interval, mean_square_displacement

    def compute(frames):
        time, curves = mean_square_displacement(frames, frame_interval(frames, frame_fs))
        return time, curves, {"diffusion_cm2_s": diffusion(time, curves)}

    _analyze(trajectory, "msd", ("time (ps)", "MSD (Å²)"), {"frame_fs": frame_fs}, quiet, compute)


@command(analyze, "vdos")
def vdos(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Vibrational densities of states per element, from the velocities."""
    from ase_lode.dynamics.analysis import frame_interval, vibrational_density

    _analyze(trajectory, "vdos", ("wavenumber (1/cm)", "density of states (cm)"), {"frame_fs": frame_fs}, quiet,
             lambda frames: vibrational_density(frames, frame_interval(frames, frame_fs)))


@command(analyze, "profile")
def profile(
    trajectory: Trajectory,
    axis: Annotated[str, typer.Option(help="Direction: x, y or z, normal to the other two cell vectors.")] = "z",
    width: Annotated[float, typer.Option(help="Width of the bins in Å.")] = 0.1,
    quiet: Quiet = False,
):
    """Mass density along an axis, per element: liquids on slabs, films, membranes."""
    from ase_lode.dynamics.analysis import density_profile

    _analyze(trajectory, "profile", (f"{axis} (Å)", "density (g/cm³)"), {"axis": axis, "width": width}, quiet,
             lambda frames: density_profile(frames, axis, width))


@command(analyze, "bonds")
def bonds(trajectory: Trajectory, bins: Annotated[int, typer.Option(help="Number of bins.")] = 200,
          quiet: Quiet = False):
    """Distributions of the lengths of the first frame's covalent bonds."""
    from ase_lode.dynamics.analysis import bond_lengths

    _analyze(trajectory, "bonds", ("length (Å)", "density (1/Å)"), {"bins": bins}, quiet,
             lambda frames: bond_lengths(frames, bins))


@command(analyze, "angles")
def angles(trajectory: Trajectory, bins: Annotated[int, typer.Option(help="Number of bins.")] = 180,
           quiet: Quiet = False):
    """Distributions of the angles between the first frame's covalent bonds."""
    from ase_lode.dynamics.analysis import bond_angles

    _analyze(trajectory, "angles", ("angle (degrees)", "density (1/degree)"), {"bins": bins}, quiet,
             lambda frames: bond_angles(frames, bins))


@command(analyze, "rmsd")
def rmsd(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Root mean square deviation from the first frame after superposition."""
    from ase_lode.dynamics.analysis import deviations

    _against_time(trajectory, "rmsd", "RMSD (Å)", frame_fs, quiet, deviations)


@command(analyze, "rgyr")
def rgyr(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Radius of gyration about the centre of mass."""
    from ase_lode.dynamics.analysis import gyration_radii

    _against_time(trajectory, "rgyr", "radius of gyration (Å)", frame_fs, quiet,
                  lambda frames: {"all": gyration_radii(frames)})


@command(analyze, "ramachandran")
def ramachandran(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Backbone torsions of a peptide, phi and psi of every residue."""
    from ase_lode.dynamics.analysis import ramachandran as torsions
    from ase_lode.dynamics.plots import plot_ramachandran

    _against_time(trajectory, "ramachandran", "torsion (degrees)", frame_fs, quiet, torsions,
                  lambda path, x, curves, *labels: plot_ramachandran(path, curves))


def _against_time(trajectory, kind, label, frame_fs, quiet, compute, draw=None):
    """Curves with one value for each frame."""
    import numpy as np

    from ase_lode.dynamics.analysis import frame_interval

    def curves(frames):
        values = compute(frames)
        means = {name: {"mean": float(array.mean()), "std": float(array.std())} for name, array in values.items()}
        return np.arange(len(frames)) * frame_interval(frames, frame_fs) / 1000, values, means

    _analyze(trajectory, kind, ("time (ps)", label), {"frame_fs": frame_fs}, quiet, curves, draw)


def _analyze(trajectory, kind, labels, settings, quiet, compute, draw=None):
    """Read frames, compute curves and what follows from them, write CSV, PNG and summary beside the trajectory."""
    import numpy as np
    from ase.io import read

    from ase_lode.dynamics.plots import plot_curves

    summary = _Summary(f"analyze {kind}")
    x, curves, *results = compute(read(trajectory, index=":"))
    out = trajectory.with_name(f"{trajectory.stem}_{kind}.csv")
    np.savetxt(out, np.column_stack([x, *curves.values()]), delimiter=",", comments="", fmt="%.10g",
               header=",".join([labels[0], *curves]), encoding="utf-8")
    (draw or plot_curves)(out.with_suffix(".png"), x, curves, *labels)
    summary.write(out, settings={"trajectory": str(trajectory), **settings}, results=dict(*results))
    if not quiet:
        for name, value in dict(*results).items():
            typer.echo(f"{name}: {_inline(value)}")
        typer.echo(f"{kind} in '{out}' and '{out.with_suffix('.png')}'")


class _Summary:
    """The summary YAML of a command: versions, potential, seed, settings, timings, results."""

    def __init__(self, command):
        self.command, self.began = command, time.perf_counter()

    def write(self, beside, potential=None, calc=None, settings=None, results=None, seed=None):
        """Write it beside an output file."""
        import platform

        import ase
        import numpy as np

        from ase_lode import __version__

        potential = getattr(calc, "potential", potential)
        settings = _plain(settings or {})
        content = {
            "command": self.command,
            "versions": {"ase_lode": __version__, "ase": ase.__version__, "numpy": np.__version__,
                         "python": platform.python_version()},
            "potential": None if potential is None else {"name": potential.name, "sha256": potential.sha256},
            "seed": settings.get("seed", seed), "settings": settings,
            "timings": {"seconds": round(time.perf_counter() - self.began, 3)}, "results": _plain(results or {})}
        beside = Path(beside)
        beside.with_name(f"{beside.stem}.summary.yaml").write_text(_yaml(content), encoding="utf-8")


def _calculator(potential, **keywords):
    from ase_lode.calculator import LODECalculator

    return LODECalculator(potential, **keywords)


def _beside(structure, ending):
    """Default output: in the working directory, named after the input."""
    return Path(Path(structure.split("@")[0]).stem + ending)


def _numbers(name, text):
    """A number or a ramp as typed, '300' or '300,600'."""
    if text is None:
        return None
    from ase_lode.errors import ConfigError

    try:
        values = [float(part) for part in text.strip("[]()").split(",")]
    except ValueError:
        raise ConfigError(f"--{name} must be a number or a ramp as 'start,end', got '{text}'.") from None
    return values[0] if len(values) == 1 else values


def _plain(value):
    """The same in plain numbers, texts, lists and mappings."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _yaml(content):
    import yaml

    return yaml.safe_dump(_plain(content), sort_keys=False, allow_unicode=True, width=100).rstrip()


def _inline(errors):
    return ", ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
                     for key, value in errors.items())


if __name__ == "__main__":
    sys.exit(main())
