"""The command line `ase-lode`: parse, call, print.

Everything heavy is imported inside the commands, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from ase_lode.cli.analyze import analyze
from ase_lode.cli.command import (
    HELP,
    PotentialName,
    PotentialOption,
    Quiet,
    Structure,
    Summary,
    Workers,
    as_yaml,
    command,
    inline,
    output_beside,
    plain,
    read_frames,
)

app = typer.Typer(help="Multi-scale machine-learning potentials: run them, train them, judge them.",
                  add_completion=False, **HELP)
data = typer.Typer(help="Look at training data.", **HELP)
app.add_typer(data, name="data")
app.add_typer(analyze, name="analyze")


def main():
    """Entry point of the command `ase-lode`."""
    app(prog_name="ase-lode")


@command(app, "potentials")
def potentials():
    """List the shipped potentials."""
    from ase_lode.models.library import list_potentials

    rows = list_potentials()
    for row in rows:
        typer.echo(f"{row['name']:<24} {' '.join(row['elements']):<16} {row['size'] / 1e6:6.1f} MB  "
                   f"{row['sha256'][:12]}  {row['level_of_theory']}")
        errors = row["errors"].get("validation", {})
        shown = [f"{label} {error['rmse']:.3g} {error['unit']}".removesuffix(" 1")  # without a unit
                 for label, error in errors.items() if "rmse" in error]
        if shown:
            typer.echo(f"{'':<24} RMSE, validation: {', '.join(shown)}")
    if not rows:
        typer.echo("No potentials are shipped with this installation.")


@command(app, "info")
def info(potential: PotentialName):
    """Show the card of a potential."""
    from ase_lode.models.library import load_potential

    loaded = load_potential(potential)
    typer.echo(as_yaml({"name": loaded.name, "elements": loaded.elements, "sha256": loaded.sha256, **loaded.header}))


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
    from ase_lode.dynamics.observers import prepare_output

    summary = Summary("build")
    prepare_output(out)
    is_pdb = source.lower().endswith(".pdb")
    atoms = from_pdb(source, ph, seed) if is_pdb else from_smiles(source, seed)
    atoms.write(out, format="extxyz")
    facts = {"formula": atoms.get_chemical_formula(), **atoms.info}
    summary.write(out, settings={"source": source, "ph": ph, "seed": seed}, results=facts)
    if not quiet:
        typer.echo(f"{inline(facts)}: '{out}'")


@command(app, "singlepoint")
def singlepoint(
    structure: Structure,
    potential: PotentialOption,
    out: Annotated[Path | None, typer.Option("--out", help="Output (.extxyz, .xyz, .traj); "
                                                           "STRUCTURE_singlepoint.extxyz.")] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="Molecules, whatever cells the file gives.")] = False,
    workers: Workers = None,
    quiet: Quiet = False,
):
    """Energy (eV), forces (eV/Å), stress and response of every frame of a file; status 1 if one failed.

    Dipoles are in e·Å about the origin of coordinates. Polarizabilities (Å³) stand in the frames' info, Born charges
    (e, nine numbers an atom) in their arrays. Labels of the same names are not copied.
    """
    from ase_lode.cli.singlepoint import write_results

    summary = Summary("singlepoint")
    out = out or output_beside(structure, "_singlepoint.extxyz")
    calc = _calculator(potential)
    structures, failed = write_results(structure, calc, out, isolated, workers, quiet)
    summary.write(out, calc=calc, settings={"structure": structure, "isolated": isolated, "workers": workers},
                  results={"structures": structures, "failed": failed})
    if failed:
        typer.echo(f"Error: {failed} of {structures} structures could not be evaluated; they are in '{out}' without "
                   "results.", err=True)
        raise typer.Exit(1)
    if not quiet:
        typer.echo(f"{structures} structures with their results: '{out}'")


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

    summary = Summary("relax")
    out = out or output_beside(structure[0], "_relaxed.extxyz")
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
        typer.echo(f"{message}: '{out}'")


def _read_all(names):
    """Structures of files and folders by their names; a file without '@' gives its last frame."""
    from ase_lode.errors import ConfigError

    paths = []
    for name in names:
        inside = sorted(str(path) for path in Path(name).iterdir() if path.is_file()) if Path(name).is_dir() else [name]
        paths += [path for path in inside if not Path(path).name.startswith(".")]
    structures = {}
    for path in paths:
        found = read_frames(path, -1)
        for index, atoms in enumerate(found):
            structures[f"{path}[{index}]" if len(found) > 1 else path] = atoms
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
    response: Annotated[str | None, typer.Option(help="Potential whose dipole and polarizability are logged; 'own' for "
                                                      "that of -p.")] = None,
    restart: Annotated[Path | None, typer.Option(help="Checkpoint to continue from.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Trajectory; log, checkpoint, plot and summary stand beside "
                                                           "it. STRUCTURE_md.traj.")] = None,
    quiet: Quiet = False,
):
    """Run molecular dynamics, or continue it bit for bit with --restart."""
    from ase_lode.dynamics import run_md

    summary = Summary("md")
    given = {"ensemble": ensemble, "temperature_K": _numbers("temperature", temperature_K), "timestep_fs": timestep_fs,
             "steps": steps, "seed": seed, "pressure_GPa": _numbers("pressure", pressure_GPa), "minimise": minimise,
             "friction_per_ps": friction_per_ps, "taut_fs": taut_fs, "taup_fs": taup_fs, "log_interval": log_interval,
             "trajectory_interval": trajectory_interval, "checkpoint_interval": checkpoint_interval, "quiet": quiet,
             "on_broken_bonds": on_broken_bonds, "response": True if response == "own" else response}
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
    from ase_lode.errors import ConfigError

    if structure is None or potential is None:
        raise ConfigError("Give a structure and a potential (-p), or a checkpoint with --restart.")
    found = read_frames(structure, -1)
    if len(found) > 1:
        raise ConfigError(f"'{structure}' has {len(found)} structures; name one after '@'.")
    return out or output_beside(structure, "_md.traj"), found[0]


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

    summary = Summary("train")
    potential, report = run(recipe, data_folder=folder, check=check, quiet=quiet)
    config, folder_of_recipe = read_training(recipe)
    out = folder_of_recipe / config.output.directory / f"{config.output.name}.lode"
    summary.write(recipe if check else out, potential=potential, seed=config.seed, results=report,
                  settings={"recipe": str(recipe), "data": folder, "check": check})
    if not quiet:
        typer.echo(as_yaml({key: value for key, value in report.items() if not key.endswith("history")}))


@command(app, "eval")
def evaluate(
    potential: PotentialName,
    file: Annotated[Path, typer.Argument(metavar="TEST.EXTXYZ", help="Structures labelled in the training's units.")],
    energy_key: Annotated[str, typer.Option(help="Key of the energy; 'none' leaves it out.")] = "energy",
    forces_key: Annotated[str, typer.Option(help="Key of the forces; 'none' leaves them out.")] = "forces",
    stress_key: Annotated[str | None, typer.Option(help="Key of the stress.")] = None,
    response: Annotated[bool, typer.Option("--response/--no-response", help="Compare dipoles and tensors too, under "
                                           "the keys of the training.")] = True,
    report: Annotated[Path | None, typer.Option(help="HTML page with parity plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    workers: Workers = None,
    quiet: Quiet = False,
):
    """Errors of a potential on labelled structures."""
    import json

    from ase_lode.models.library import load_potential
    from ase_lode.training import evaluate as run

    summary = Summary("eval")
    loaded = load_potential(potential)
    keys = {name: None if key in (None, "none") else key for name, key in
            (("energy_key", energy_key), ("forces_key", forces_key), ("stress_key", stress_key))}
    result = run(loaded, file, **keys, report=report, quiet=quiet or as_json, workers=workers, response=response)
    summary.write(report or output_beside(str(file), "_eval.html"), potential=loaded,
                  settings={"file": str(file), **keys, "workers": workers},
                  results=result)
    typer.echo(json.dumps(plain(result), indent=2) if as_json else as_yaml(result))


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

    summary = Summary("data lint")
    findings = run(files)
    summary.write(output_beside(str(files[0]), "_lint.txt"), settings={"files": files},
                  results={"facts": findings.facts, "warnings": findings.warnings})
    typer.echo(findings.text)


def _calculator(potential, **keywords):
    from ase_lode.calculator import LODECalculator

    return LODECalculator(potential, **keywords)


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
