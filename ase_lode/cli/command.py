"""What every command shares: registration with --config and --debug, options, summary files, printing."""

import functools
import inspect
import time
from pathlib import Path
from typing import Annotated

import typer

HELP = {"rich_markup_mode": None, "pretty_exceptions_enable": False, "no_args_is_help": True}


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
        return f"'{error.filename}': {error.strerror}." if error.filename else f"{error.strerror}."
    if isinstance(error, StopIteration):
        return "The file has no such frame; check the number after '@'."
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; the same command again goes on where there is a checkpoint."
    text = " ".join(str(error).split())
    return f"{text[:300] or type(error).__name__} ({type(error).__name__}; --debug shows where)."


class Summary:
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
        settings = plain(settings or {})
        content = {
            "command": self.command,
            "versions": {"ase_lode": __version__, "ase": ase.__version__, "numpy": np.__version__,
                         "python": platform.python_version()},
            "potential": None if potential is None else {"name": potential.name, "sha256": potential.sha256},
            "seed": settings.get("seed", seed), "settings": settings,
            "timings": {"seconds": round(time.perf_counter() - self.began, 3)}, "results": plain(results or {})}
        beside = Path(beside)
        beside.with_name(f"{beside.stem}.summary.yaml").write_text(as_yaml(content), encoding="utf-8")


def output_beside(structure, ending):
    """Default output: in the working directory, named after the input."""
    return Path(Path(Path(structure).name.split("@")[0]).stem + ending)


def read_frames(name, index):
    """Structures of a file that '@' names, or else an index; a cell of zeros is an isolated molecule, as in training.

    Raises
    ------
    ConfigError
        There are none.
    """
    from ase.io import read

    from ase_lode.errors import ConfigError

    found = read(name) if "@" in Path(name).name else read(name, index)
    found = found if isinstance(found, list) else [found]
    if not found:
        raise ConfigError(f"'{name}' names no structure; check the numbers after '@'.")
    for atoms in found:
        if not atoms.cell.array.any():
            atoms.pbc = False
    return found


def plain(value):
    """The same in plain numbers, texts, lists and mappings."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def as_yaml(content):
    import yaml

    return yaml.safe_dump(plain(content), sort_keys=False, allow_unicode=True, width=100).rstrip()


def inline(errors):
    return ", ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
                     for key, value in errors.items())
