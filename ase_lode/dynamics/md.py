"""Molecular dynamics with checkpoints that continue bit for bit: `run_md`."""

import errno
import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms, units

from ase_lode.dynamics.bonds import Bonds
from ase_lode.dynamics.checkpoint import find_calculator, identify, read_checkpoint, write_checkpoint
from ase_lode.dynamics.ensembles import INTEGRATORS, check_ensemble, count_degrees_of_freedom
from ase_lode.dynamics.observers import (
    Frames,
    Log,
    Progress,
    Signals,
    Thermodynamics,
    Watch,
    check_outputs,
    check_structure,
    keep_frame,
    prepare_output,
)
from ase_lode.dynamics.plots import MD_AXIS, MD_PANELS, Pictures
from ase_lode.dynamics.responder import Responder
from ase_lode.dynamics.settings import CONSTANT_PRESSURE, Settings
from ase_lode.dynamics.velocities import draw_velocities
from ase_lode.errors import ConfigError, LODEError, SimulationError

#: Files whose paths are kept relative to the checkpoint, so that a folder can move.
OUTPUTS = ("trajectory", "log", "checkpoint")
#: No space, quota used up, a failing disk, a file system that has become read-only.
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


class Run(NamedTuple):
    """Result of a run: the atoms (at a start the same object), steps in all, time simulated in ps, all settings."""

    atoms: Atoms
    steps: int
    time_ps: float
    settings: dict


def run_md(atoms=None, ensemble=None, temperature_K=None, timestep_fs=None, steps=None, seed=None, trajectory=None,
           log=None, checkpoint=None, *, restart=None, calc=None, pressure_GPa=None, friction_per_ps=None, taut_fs=None,
           taup_fs=None, log_interval=None, trajectory_interval=None, checkpoint_interval=None, max_temperature_K=None,
           on_broken_bonds=None, zero_momentum=None, minimise=None, response=None, plot=None, quiet=False):
    """Run molecular dynamics, or continue it from a checkpoint.

    A keyword that is None takes the default of `ase_lode.dynamics.settings.Settings`, where the reason stands beside
    it; in a restart, the checkpoint's value. A restart equals the uninterrupted run to the last bit, provided that the
    calculator is a pure function of the geometry; its logs and trajectories are cut back to the checkpoint first.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure with a calculator, changed in place. Momenta that are not all zero are kept; otherwise they are drawn
        from the Maxwell-Boltzmann distribution with the seed.
    ensemble : str
        nve, nvt-bussi (default), nvt-langevin, nvt-nhc (not for small molecules alone, whose stiff bonds
        share no energy under a deterministic thermostat), npt-mtk (all strains: not for liquids, which resist no
        shear), npt-mtk-iso or npt-xy (in the plane of the first two cell vectors).
    temperature_K, pressure_GPa : float or [start, end]
        Targets; a pair is a linear ramp over the steps of the first run. 300 K, 0 GPa.
    timestep_fs : float
        Time step in fs, 0.5.
    steps : int
        Number of steps in all, restarts included, 1000.
    seed : int
        Seed of velocities and thermostats, 0.
    trajectory, log, checkpoint : path-like
        Frames (.traj exact, .xyz or .extxyz), thermodynamics (.csv) and state (.npz).
    restart : path-like
        Checkpoint to continue from; no other setting but `steps` may differ from it.
    calc : ase calculator
        Calculator, if not on the atoms; a restart finds a potential by its name and hash.
    friction_per_ps, taut_fs, taup_fs : float
        Couplings of Langevin thermostat, other thermostats and barostats: 10/ps, 100 fs, 1000 fs.
    log_interval, trajectory_interval, checkpoint_interval : int
        Steps between rows, frames and checkpoints: 10, 100, 1000. A checkpoint is also written at the end.
    max_temperature_K : float
        The run stops above it: 20 times the target, at least 10,000 K.
    on_broken_bonds : {"stop", "ignore"}
        What to do when a covalent bond of the first frame breaks: stop, the default, or nothing.
    zero_momentum : bool
        Draw velocities without drift (isolated: and rotation), the default.
    minimise : bool
        Relax the positions to 0.1 eV/Å first.
    response : True or str
        Log dipole (e·Å) and polarizability (Å³) and keep them with the frames, for `ase-lode analyze ir` and `raman`:
        True for the run's own potential, or the name or file of another.
    plot : path-like
        PNG of temperature, energies, pressure and volume against time; beside it, as .html, a page with the same curves
        and the trajectory in three dimensions, which needs no network. Both are updated on the way.
    quiet : bool
        No progress on stderr.

    Returns
    -------
    Run
        atoms, steps, time_ps, settings.

    Raises
    ------
    ConfigError
        A setting is unknown, out of range or does not fit the structure or the checkpoint.
    SimulationError
        Values that are not finite, an explosion, a broken bond, a refusal of the calculator, or a signal; the message
        names the last good frame or the checkpoint.
    """
    given = {name: value for name, value in locals().items() if name in Settings.keywords() and value is not None}
    if plot is not None and log is None and restart is None:
        given["log"] = Path(plot).with_suffix(".csv")
    for name in OUTPUTS:
        if name in given:
            given[name] = os.path.abspath(given[name])
    check_outputs(**{name: given.get(name) for name in OUTPUTS}, plot=plot)
    if isinstance(given.get("response"), str) and os.path.exists(given["response"]):
        given["response"] = os.path.abspath(given["response"])
    with ExitStack() as stack:
        if restart is not None:
            calc = calc or (atoms.calc if atoms is not None else None)
            return _resume(restart, calc, given, stack).run(plot, quiet)
        if atoms is None:
            raise ConfigError("run_md needs atoms, or restart= with a checkpoint.")
        return _start(atoms, calc, Settings(**given), stack).run(plot, quiet)


def _start(atoms, calc, settings, stack):
    """A simulation at step 0."""
    check_structure(atoms, calc)
    if calc is not None:
        atoms.calc = calc
    check_ensemble(atoms, settings.ensemble)
    atoms.get_forces()  # what the calculator refuses leaves no files
    prepare_output(settings.trajectory, settings.log, settings.checkpoint)
    if settings.ensemble in CONSTANT_PRESSURE and hasattr(atoms.calc, "pin_mesh"):
        stack.callback(atoms.calc.set_state, atoms.calc.get_state())  # after the run the mesh follows the cell again
        atoms.calc.pin_mesh(atoms)
    if settings.minimise:
        from ase_lode.dynamics.relax import relax

        relax(atoms, fmax=0.1, quiet=True)
    rng = np.random.default_rng(settings.seed)
    atoms.set_momenta(atoms.get_momenta())  # without those of fixed atoms, which a chain would count as heat
    if not atoms.get_momenta().any():
        draw_velocities(atoms, settings.temperature_K[0], rng, settings.zero_momentum)
    return Simulation(atoms, settings, count_degrees_of_freedom(atoms, settings.ensemble), rng, Bonds.find(atoms))


def _resume(path, calc, given, stack):
    """A simulation as its checkpoint left it."""
    path = Path(path)
    atoms, header, state = read_checkpoint(path)
    saved = dict(header["settings"])
    for name in OUTPUTS:
        if saved[name] is not None:
            saved[name] = os.path.abspath(path.parent / saved[name])
    settings = Settings(**saved).continued(given)
    if settings.steps < header["step"]:
        raise ConfigError(f"The checkpoint is at step {header['step']} already; ask for more than {settings.steps} "
                          "steps.")
    atoms.calc = find_calculator(header["calculator"], calc)
    if header["calculator"]["state"] is not None and hasattr(atoms.calc, "set_state"):
        stack.callback(atoms.calc.set_state, atoms.calc.get_state())
        atoms.calc.set_state(header["calculator"]["state"])
    rng = np.random.default_rng()
    rng.bit_generator.state = header["rng"]
    # A thermostat's constructor may refuse or change what it finds; the saved state comes last.
    bonds = Bonds(**header["bonds"])
    simulation = Simulation(atoms, settings, header["dof"], rng, bonds, header["step"])
    simulation.integrator.set_state(state)
    return simulation


class Simulation:
    """One run: atoms, integrator, settings and the step it is at."""

    def __init__(self, atoms, settings, dof, rng, bonds, step=None):
        self.atoms, self.settings, self.dof, self.rng, self.bonds = atoms, settings, dof, rng, bonds
        self.resumed_at, self.step = step, step or 0
        self.integrator = INTEGRATORS[settings.ensemble](atoms, settings, dof, rng)
        self.frames = self.log = None
        self.saved_at = step

    def run(self, plot=None, quiet=False):
        """Step to the end; see `run_md`."""
        try:
            return self._run(plot, quiet)
        except OSError as error:  # of a step, or of closing a file after it
            if error.errno not in UNWRITABLE:
                raise
            raise SimulationError(f"The results cannot be written after step {self.step} ({error.strerror}); make "
                                  f"room, then {self._advice()}.") from error

    def _run(self, plot, quiet):
        settings = self.settings
        responder = Responder(self.atoms, settings.response) if settings.response else None
        thermodynamics = Thermodynamics(self.atoms, self.integrator, self.dof, settings.timestep_fs, responder)
        watch = Watch(self.atoms, settings.max_temperature_K, self.dof,
                      self.bonds if settings.on_broken_bonds == "stop" else Bonds.none())
        pictures = Pictures(plot if settings.log else None, settings.log, settings.trajectory, MD_PANELS, MD_AXIS)
        prepare_output(plot)
        with ExitStack() as stack:
            # Last of all, when the files are closed, whether the run has ended or failed.
            stack.callback(lambda: pictures.draw(self.atoms, self._where()))
            signals = stack.enter_context(Signals())
            self._open(stack, thermodynamics.columns)
            progress = stack.enter_context(Progress("md", self.step, settings.steps, settings.timestep_fs, quiet))
            if self.resumed_at is None:
                self._judge(watch)
                self._observe(thermodynamics)
                self._save()
            while self.step < settings.steps:
                self._advance(watch)
                self._observe(thermodynamics)
                if self.step % settings.checkpoint_interval == 0:
                    self._save()
                if pictures.due():
                    self._flush()
                    pictures.draw(self.atoms, self._where())
                progress.update(self.step)
                if signals.received and self.step < settings.steps:
                    self._interrupted(signals.received)
            self._save()
        return Run(self.atoms, self.step, self.step * settings.timestep_fs / 1000, asdict(settings))

    def _open(self, stack, columns):
        if self.settings.log is not None:
            self.log = Log(self.settings.log, columns, self.resumed_at)
            stack.callback(self.log.close)
        if self.settings.trajectory is not None:
            self.frames = Frames(self.settings.trajectory, self.resumed_at)
            stack.callback(self.frames.close)

    def _advance(self, watch):
        """One step, judged."""
        temperature, pressure = self.settings.targets(self.step)
        self.integrator.set_target(temperature * units.kB, pressure * units.GPa)
        try:
            with np.errstate(all="ignore"):
                self.integrator.step()
        except (LODEError, ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
            self._fail(watch, str(error).rstrip("."), error)
        self._judge(watch)
        self.step += 1
        self.integrator.tidy(self.step)

    def _judge(self, watch):
        problem = watch.problem()
        if problem is not None:
            self._fail(watch, problem)

    def _fail(self, watch, problem, cause=None):
        watch.restore()
        where = keep_frame(self.atoms, self.settings.trajectory or self.settings.log or self.settings.checkpoint)
        raise SimulationError(f"The run stopped after step {self.step}: {problem}; {where}.") from cause

    def _observe(self, thermodynamics):
        if self.log is not None and self.step % self.settings.log_interval == 0:
            self.log.write(thermodynamics.row(self.step))
        if self.frames is not None and self.step % self.settings.trajectory_interval == 0:
            time_ps = self.step * self.settings.timestep_fs / 1000
            self.frames.write(self.atoms, thermodynamics.responder, step=self.step, time_ps=time_ps)

    def _save(self):
        """Write the checkpoint, after everything that belongs before it is on disk."""
        self._flush()
        path = self.settings.checkpoint
        if path is None or (self.saved_at == self.step and Path(path).exists()):
            return
        settings = asdict(self.settings)
        for name in OUTPUTS:
            if settings[name] is not None:
                settings[name] = os.path.relpath(settings[name], os.path.dirname(path))
        write_checkpoint(path, self.atoms, {
            "step": self.step, "settings": settings, "dof": self.dof, "rng": self.rng.bit_generator.state,
            "bonds": asdict(self.bonds), "calculator": identify(self.atoms.calc)}, self.integrator.get_state())
        self.saved_at = self.step

    def _flush(self):
        for output in (self.log, self.frames):
            if output is not None:
                output.flush()

    def _interrupted(self, name):
        self._save()
        raise SimulationError(f"{name} stopped the run after step {self.step} of {self.settings.steps}; "
                              f"{self._advice()}.")

    def _advice(self):
        path = self.settings.checkpoint
        if path is None or not Path(path).exists():
            return "start again: there is no checkpoint to continue from"
        return f"continue with run_md(restart='{path}') or 'ase-lode md --restart {path}'"

    def _where(self):
        return f"{self.settings.ensemble}, step {self.step} of {self.settings.steps}"
