"""What a potential gives for every structure of a file, written as it comes."""

from pathlib import Path

import numpy as np
import typer

from ase_lode.calculator import UNDEFINED
from ase_lode.cli.command import read_frames
from ase_lode.dynamics.many import evaluate_many
from ase_lode.dynamics.observers import Frames, check_outputs, prepare_output
from ase_lode.errors import ConfigError

#: How results are told.
WORDS = {"energy": lambda energy: f"energy {energy:.6f} eV",
         "forces": lambda forces: f"largest force {np.linalg.norm(forces, axis=1).max():.4f} eV/Å",
         "dipole": lambda dipole: f"dipole {np.linalg.norm(dipole):.4f} e·Å",
         "dielectric_tensor": lambda tensor: f"mean dielectric constant {np.trace(tensor) / 3:.4f}",
         "polarizability": lambda tensor: f"mean polarizability {np.trace(tensor) / 3:.4f} Å³",
         "born_effective_charges": lambda charges: f"largest Born charge {abs(charges).max():.4f} e"}


def write_results(structure, calc, out, isolated, workers, quiet):
    """Evaluate the structures of a file and write each as soon as it is done.

    Returns
    -------
    structures, failed : int

    Raises
    ------
    ConfigError
        The output is the input, or cannot hold results.
    """
    check_outputs(output=out)
    if out.exists() and out.resolve() in {Path(structure).resolve(), Path(structure.rsplit("@", 1)[0]).resolve()}:
        raise ConfigError(f"The output '{out}' is the input; give another --out.")
    structures = read_frames(structure, ":")
    for atoms in structures:
        atoms.pbc = atoms.pbc & (not isolated)
    prepare_output(out)
    frames, failed, without_dipole = Frames(out), 0, 0
    try:
        for index, (frame, doubts, error) in enumerate(evaluate_many(structures, calc, workers)):
            frames.append(frame)
            frames.flush()
            for message in [*doubts, *([error] if error else [])]:
                typer.echo(f"{index}: {message}", err=True)
            failed += error is not None
            without_dipole += error is None and "dipole" in set(calc.implemented_properties) - frame.calc.results.keys()
            if not (quiet or error):
                typer.echo(f"{index}: {frame.get_chemical_formula()}, {_told(frame)}")
    finally:
        frames.close()
    if without_dipole:
        typer.echo(f"{without_dipole} structures have no dipole. {UNDEFINED['dipole']} Or give --isolated.", err=True)
    return len(structures), failed


def _told(frame):
    found = {**frame.arrays, **frame.info, **frame.calc.results}
    return ", ".join(tell(found[name]) for name, tell in WORDS.items() if name in found) or "nothing that it defines"
