"""Relaxation of positions and cell with ASE's optimizers: `relax`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms, units

from ase_lode.dynamics.observers import (
    Frames,
    Log,
    Progress,
    check_outputs,
    check_structure,
    has_stress,
    keep_frame,
    prepare_output,
)
from ase_lode.dynamics.plots import RELAX_AXIS, RELAX_PANELS, Pictures
from ase_lode.dynamics.settings import is_number, nearest, whole
from ase_lode.errors import ConfigError, LODEError, SimulationError

#: ASE's optimizers by lower-case name; without ODE12r, which cannot step, and CellAwareBFGS, which takes no other cell.
OPTIMIZERS = ("lbfgs", "bfgs", "fire", "fire2", "gpmin", "mdmin", "bfgslinesearch", "lbfgslinesearch", "quasinewton",
              "goodoldquasinewton", "rfo")
#: Keywords of the cell filter: which strains are free.
CELLS = {"none": None, "shape": {"constant_volume": True}, "volume": {"hydrostatic_strain": True}, "full": {},
         "xy": {"mask": [1, 1, 0, 0, 0, 1]}}


class Relaxation(NamedTuple):
    """Result of a relaxation: the atoms (the same object), whether it converged, steps taken, largest force."""

    atoms: Atoms
    converged: bool
    steps: int
    fmax: float


def relax(atoms, fmax=0.02, optimizer="lbfgs", cell="none", pressure_GPa=0.0, symmetry=False, steps=500,
          trajectory=None, log=None, plot=None, quiet=False):
    """Relax a structure in place.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure with a calculator; its constraints are respected.
    fmax : float
        Converged when every force is below this, in eV/Å; with a free cell, the rows of the virial per atom, in eV,
        must be below it as well.
    optimizer : str
        One of `OPTIMIZERS`, upper or lower case.
    cell : {"none", "shape", "volume", "full", "xy"}
        Free strains: none, at constant volume, isotropic, all, or in the plane of x and y only (slabs).
    pressure_GPa : float
        External pressure in GPa.
    symmetry : bool
        Keep the space group (needs spglib).
    steps : int
        Largest number of steps.
    trajectory, log, plot : path-like, optional
        Frames (.traj, .xyz, .extxyz), energy and largest force per step (.csv), and their plot (.png)
        with a page beside it (.html) that has the curves and the frames in three dimensions.
    quiet : bool
        No progress on stderr.

    Returns
    -------
    Relaxation
        atoms, converged, steps, fmax.

    Raises
    ------
    ConfigError
        An option is unknown or does not fit the structure.
    SimulationError
        Energy or forces are not finite, or the calculator refused a structure on the way; the atoms are at the last
        good frame.
    """
    steps = whole("steps", steps, 0)
    _check(atoms, fmax, optimizer, cell, pressure_GPa)
    if plot is not None and log is None:
        log = Path(plot).with_suffix(".csv")
    check_outputs(trajectory=trajectory, log=log, plot=plot)
    try:
        atoms.get_forces()  # what the calculator refuses leaves no files
    except (ArithmeticError, RuntimeError, np.linalg.LinAlgError) as error:
        raise SimulationError(f"The calculator refused the structure: {str(error).rstrip('.')}.") from error
    prepare_output(trajectory, log, plot)
    constraints = list(atoms.constraints)
    try:
        if symmetry:
            atoms.set_constraint([*constraints, _symmetry(atoms)])
        target = _target(atoms, cell, pressure_GPa)
        return _run(atoms, target, optimizer, fmax, steps, _Outputs(atoms, trajectory, log, plot), quiet)
    finally:
        atoms.set_constraint(constraints)


def _check(atoms, fmax, optimizer, cell, pressure_GPa):
    check_structure(atoms)
    if not (is_number(fmax) and fmax > 0):
        raise ConfigError(f"fmax must be a positive number in eV/Å, got {fmax!r}.")
    if str(optimizer).lower() not in OPTIMIZERS:
        raise ConfigError(f"Unknown optimizer '{optimizer}'; use one of {', '.join(OPTIMIZERS)}.")
    if cell not in CELLS:
        raise ConfigError(f"Unknown cell '{cell}'; {nearest(cell, list(CELLS))}")
    if not is_number(pressure_GPa):
        raise ConfigError(f"pressure_GPa must be a finite number, got {pressure_GPa!r}.")
    if pressure_GPa != 0 and cell in ("none", "shape"):
        raise ConfigError(f"A pressure has no effect with cell='{cell}', which keeps the volume; use 'full', 'volume' "
                          "or 'xy'.")
    needed = {"none": (), "xy": (0, 1)}.get(cell, (0, 1, 2))
    if needed and not (atoms.pbc[list(needed)].all() and atoms.cell.volume > 0):
        raise ConfigError(f"cell='{cell}' needs a periodic cell; set atoms.cell and atoms.pbc, or use cell='none'.")
    if cell == "xy" and np.abs(atoms.cell.array[:2, 2]).max() > 1e-8:
        raise ConfigError("cell='xy' needs the first two cell vectors in the xy plane; rotate the slab or use 'full'.")


def _symmetry(atoms):
    from ase.constraints import FixSymmetry

    try:
        return FixSymmetry(atoms)
    except ModuleNotFoundError as error:
        raise ConfigError("symmetry=True needs spglib; install it with 'pip install spglib'.") from error


def _target(atoms, cell, pressure_GPa):
    """The atoms, or a filter that adds the free strains to them."""
    if CELLS[cell] is None:
        return atoms
    from ase.filters import FrechetCellFilter

    return FrechetCellFilter(atoms, scalar_pressure=pressure_GPa * units.GPa, **CELLS[cell])


def _run(atoms, target, name, fmax, steps, outputs, quiet):
    """Step until converged, keeping the last good frame."""
    import ase.optimize

    kind = next(kind for kind in ase.optimize.__all__ if kind.lower() == name.lower())
    good = atoms.positions.copy(), atoms.cell.array.copy()
    taken, converged, largest = -1, False, np.inf
    try:
        with outputs, Progress("relax", 0, steps, quiet=quiet) as progress:
            optimizer = getattr(ase.optimize, kind)(target, logfile=None)
            for done in optimizer.irun(fmax=fmax, steps=steps):
                converged = bool(done)
                taken, largest = optimizer.nsteps, _largest_force(optimizer)
                energy = optimizer.optimizable.get_value()
                if not (np.isfinite(energy) and np.isfinite(largest)):
                    raise SimulationError("energy or forces are not finite")
                good = atoms.positions.copy(), atoms.cell.array.copy()
                outputs.write(taken, energy, largest)
                progress.update(taken, f", fmax {largest:.4f} eV/Å")
    except (LODEError, ArithmeticError, RuntimeError, np.linalg.LinAlgError) as error:
        atoms.cell[:] = good[1]
        atoms.arrays["positions"][:] = good[0]
        where = keep_frame(atoms, outputs.beside)
        raise SimulationError(f"The relaxation stopped after {max(taken, 0)} steps: {str(error).rstrip('.')}; "
                              f"{where}.") from error
    return Relaxation(atoms, converged, taken, float(largest))


def _largest_force(optimizer):
    return float(optimizer.optimizable.gradient_norm(optimizer.optimizable.get_gradient()))


class _Outputs:
    """Trajectory, log and plot of one relaxation."""

    def __init__(self, atoms, trajectory, log, plot):
        self.atoms, self.trajectory, self.log = atoms, trajectory, log
        self.beside = trajectory or log
        self.pictures = Pictures(plot, log, trajectory, RELAX_PANELS, RELAX_AXIS)
        self.step = 0

    def __enter__(self):
        self.cell = bool(self.atoms.pbc.all())
        self.stress = self.log is not None and has_stress(self.atoms)
        columns = ["step", "energy_eV", "fmax_eV_A"] + ["volume_A3"] * self.cell + ["pressure_GPa"] * self.stress
        self.frames = None if self.trajectory is None else Frames(self.trajectory)
        self.rows = None if self.log is None else Log(self.log, columns)
        return self

    def __exit__(self, *_):
        for output in (self.frames, self.rows):
            if output is not None:
                output.close()
        self._draw()

    def write(self, step, energy, largest):
        """Append the present frame."""
        self.step = step
        if self.frames is not None:
            self.frames.write(self.atoms, step=step)
            self.frames.flush()
        if self.rows is not None:
            values = [step, float(energy), largest]
            values += [self.atoms.get_volume()] if self.cell else []
            values += [-self.atoms.get_stress()[:3].mean() / units.GPa] if self.stress else []
            self.rows.write(values)
            self.rows.flush()
        if self.pictures.due():
            self._draw()

    def _draw(self):
        self.pictures.draw(self.atoms, f"relaxation, step {self.step}")
