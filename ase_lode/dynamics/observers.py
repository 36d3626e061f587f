"""What watches a run: the thermodynamic log, the trajectory, progress, the stop conditions and signals."""

import re
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from ase.stress import voigt_6_to_full_3x3_stress

from ase_lode._loops.watch import judge
from ase_lode.errors import ConfigError, SimulationError

#: Grams per cubic centimetre in one atomic mass unit per Å³.
DENSITY = 1e24 / units.mol
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
#: Largest step of one atom in Å; hydrogen moves 0.03 Å per fs at 300 K.
LARGEST_STEP = 1.0
#: A bond is broken beyond this times the sum of the covalent radii: C-C at 3.0 Å, O-H at 1.9 Å.
BROKEN = 2.0


def has_stress(atoms):
    """Whether a stress exists: periodic along a and b at least, a cell with a volume, a calculator with stress."""
    implemented = getattr(atoms.calc, "implemented_properties", ())
    if not atoms.pbc[:2].all() or atoms.cell.rank < 3 or "stress" not in implemented:
        return False
    try:
        atoms.get_stress()
    except PropertyNotImplementedError:
        return False
    return True


class Thermodynamics:
    """One row of the log: step, time, energies, temperature and, where they exist, stress, volume, uncertainty and
    response.

    Slabs, periodic along a and b only, have no pressure; their stress counts the third cell vector's length in the
    volume. What the length does not change is the tension, the force per length of the plane's edge: minus the mean
    lateral pressure times the height, so that a stretched slab has a positive one.
    """

    def __init__(self, atoms, integrator, dof, timestep_fs, responder=None):
        self.atoms, self.integrator, self.dof, self.timestep_fs = atoms, integrator, dof, timestep_fs
        self.responder = responder
        self.stress = has_stress(atoms)
        self.cell = bool(atoms.pbc.all())
        atoms.get_potential_energy()
        self.uncertainty = "energy_uncertainty" in (getattr(atoms.calc, "extras", None) or {})
        self.columns = ["step", "time_ps", "E_pot_eV", "E_kin_eV", "E_total_eV", "conserved_eV", "temperature_K"]
        if self.stress:
            self.columns += ["pressure_GPa" if self.cell else "tension_N_m", "pressure_ab_GPa"]
            self.columns += [f"stress_{name}_GPa" for name in VOIGT]
        if self.cell:
            self.columns += ["volume_A3", "density_g_cm3"]
        if self.uncertainty:
            self.columns.append("energy_uncertainty_eV")
        if self.responder is not None:
            self.columns += self.responder.columns

    def temperature(self):
        """Kinetic temperature in K of the degrees of freedom that move."""
        return 2 * self.atoms.get_kinetic_energy() / (max(self.dof, 1) * units.kB)

    def row(self, step):
        """Values in the order of the columns."""
        atoms = self.atoms
        potential, kinetic = float(atoms.get_potential_energy()), float(atoms.get_kinetic_energy())
        total = potential + kinetic
        values = [step, step * self.timestep_fs / 1000, potential, kinetic, total, self.integrator.conserved(total),
                  self.temperature()]
        if self.stress:
            stress = atoms.get_stress(include_ideal_gas=True) / units.GPa
            lateral, height = across_the_plane(stress, atoms.cell.array)
            # GPa Å is 0.1 N/m.
            values += [-stress[:3].mean() if self.cell else -0.1 * lateral * height, lateral, *stress]
        if self.cell:
            volume = atoms.get_volume()
            values += [volume, atoms.get_masses().sum() / volume * DENSITY]
        if self.uncertainty:
            values.append(float(np.ravel(atoms.calc.extras["energy_uncertainty"])[0]))
        if self.responder is not None:
            values += self.responder.row()
        return values


def across_the_plane(stress, cell):
    """Minus the mean of a stress (Voigt) in the plane of the first two cell vectors, and the cell's height in Å."""
    normal = np.linalg.inv(cell)[:, 2]
    height = 1 / np.linalg.norm(normal)
    normal = normal * height
    across = normal @ voigt_6_to_full_3x3_stress(stress) @ normal
    return -(stress[:3].sum() - across) / 2, height


class Log:
    """A CSV file of numbers; a restart drops the rows after its checkpoint."""

    def __init__(self, path, columns, resume_step=None):
        self.path = Path(path)
        if resume_step is not None and self.path.exists():
            cut_log(self.path, resume_step)
            self.file = open(self.path, "a", encoding="utf-8")
        else:
            self.file = open(self.path, "w", encoding="utf-8")
            self.file.write(",".join(columns) + "\n")

    def write(self, values):
        """Append a row."""
        self.file.write(",".join(str(value) if isinstance(value, int) else f"{value:.12g}" for value in values) + "\n")

    def flush(self):
        """Hand the rows to the file system."""
        self.file.flush()

    def close(self):
        """Close the file."""
        self.file.close()


def cut_log(path, step):
    """Drop the rows of a CSV log after a step, and an unfinished last row."""
    with open(path, "r+b") as file:
        file.readline()
        keep = file.tell()
        for line in iter(file.readline, b""):
            if not line.endswith(b"\n") or int(line.split(b",", 1)[0]) > step:
                break
            keep = file.tell()
        file.truncate(keep)


class Frames:
    """A trajectory with energies and forces (.traj exact, .xyz and .extxyz readable); a restart drops later frames."""

    def __init__(self, path, resume_step=None):
        self.path = Path(path)
        resumed = resume_step is not None and self.path.exists()
        if resumed:
            (_cut_traj if self.binary else _cut_extxyz)(self.path, resume_step)
        mode = "a" if resumed else "w"
        if self.binary:
            from ase.io.trajectory import Trajectory

            self.file = Trajectory(self.path, mode)
        else:
            self.file = open(self.path, mode, encoding="utf-8")

    @property
    def binary(self):
        """Whether this is ASE's own format."""
        return self.path.suffix == ".traj"

    def write(self, atoms, responder=None, **info):
        """Append a frame; `info` is stored with it, and the response where there is one."""
        frame = snapshot(atoms)
        frame.info.update(info)
        add_response(frame, {} if responder is None else responder.values())
        self.append(frame)

    def append(self, frame):
        """Append a frame with the results that it holds."""
        if self.binary:
            self.file.write(frame)
        else:
            from ase.io.extxyz import write_extxyz

            write_extxyz(self.file, [frame])

    def flush(self):
        """Hand the frames to the file system; ASE's format does so by itself."""
        if not self.binary:
            self.file.flush()

    def close(self):
        """Close the file."""
        self.file.close()


#: Endings of the files a run writes; of these trajectories alone a restart can cut frames off.
ENDINGS = {"trajectory": (".traj", ".xyz", ".extxyz"), "output": (".traj", ".xyz", ".extxyz"), "log": (),
           "checkpoint": (".npz",), "plot": (".png",)}


def check_structure(atoms, calc=None):
    """Refuse what cannot be moved, by the given calculator or its own.

    Raises
    ------
    ConfigError
        Not a structure with atoms, at finite positions, and a calculator.
    """
    if not isinstance(atoms, Atoms) or len(atoms) == 0:
        raise ConfigError(f"One structure with atoms is needed, an ase.Atoms, got {type(atoms).__name__}.")
    if calc is None and atoms.calc is None:
        raise ConfigError("The atoms have no calculator; set atoms.calc, for example to LODECalculator(...).")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise ConfigError("Positions or cell are not finite; check where the structure comes from.")


def check_outputs(**paths):
    """Refuse output files that cannot be written, or continued.

    Parameters
    ----------
    **paths : path-like or None
        By the names in `ENDINGS`.

    Raises
    ------
    ConfigError
        A wrong ending, a folder, or one file for two things.
    """
    paths = {name: Path(path) for name, path in paths.items() if path is not None}
    for name, path in paths.items():
        if ENDINGS[name] and path.suffix not in ENDINGS[name]:
            raise ConfigError(f"The {name} '{path}' must end in {' or '.join(ENDINGS[name])}.")
        if path.is_dir():
            raise ConfigError(f"The {name} '{path}' is a folder; give a file.")
    if len({path.resolve() for path in paths.values()}) < len(paths):
        raise ConfigError(f"{', '.join(paths)} need files of their own, got {', '.join(map(str, paths.values()))}.")


def snapshot(atoms):
    """A copy that holds the results already computed: energy, unconstrained forces and, where given, stress."""
    frame = atoms.copy()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(apply_constraint=False)}
    stress = getattr(atoms.calc, "results", {}).get("stress")
    if stress is not None:
        results["stress"] = np.array(stress)
    frame.calc = SinglePointCalculator(frame, **results)
    return frame


def add_response(frame, response):
    """Put the response into a frame: as results of ASE, which has no name for a polarizability; that into `info`."""
    response = dict(response)
    if "polarizability" in response:
        frame.info["polarizability"] = response.pop("polarizability")
    if "born_effective_charges" in response:  # files take rows, not tensors, of atoms
        frame.arrays["born_effective_charges"] = response.pop("born_effective_charges").reshape(len(frame), 9)
    frame.calc.results.update(response)


def _cut_traj(path, step):
    """Copy the frames up to a step when there are later ones; a file without frames is removed."""
    from ase.io.trajectory import Trajectory

    if path.stat().st_size == 0:
        path.unlink()
        return
    with Trajectory(path) as old:
        keep = len(old)
        while keep and old[keep - 1].info["step"] > step:
            keep -= 1
        if keep == len(old):
            return
        temporary = path.with_name(f".{path.name}")
        with Trajectory(temporary, "w") as new:
            for index in range(keep):
                new.write(old[index])
    temporary.replace(path)


def _cut_extxyz(path, step):
    """Truncate at the first frame after a step, or at an unfinished one."""
    with open(path, "r+b") as file:
        keep = 0
        for line in iter(file.readline, b""):
            lines = [file.readline() for _ in range(int(line) + 1)]
            found = re.search(rb"\bstep=(\d+)", lines[0])
            if not lines[-1].endswith(b"\n") or found is None or int(found[1]) > step:
                break
            keep = file.tell()
        file.truncate(keep)


class Watch:
    """Keeps the last good frame and judges the next: finite, not too hot, no atom leaping, bonds whole.

    Parameters
    ----------
    atoms : ase.Atoms
        The atoms of the run.
    max_temperature_K : float
        Limit of the temperature.
    dof : int
        Degrees of freedom of the temperature.
    bonds : Bonds
        Bonds that must not break.
    """

    def __init__(self, atoms, max_temperature_K, dof, bonds):
        self.atoms, self.limit, self.bonds = atoms, max_temperature_K, bonds
        self.kelvin = 1 / (max(dof, 1) * units.kB)
        self.masses = atoms.get_masses()
        self.positions, self.momenta, self.cell = atoms.get_positions(), atoms.get_momenta(), atoms.cell.array.copy()
        radii = covalent_radii[atoms.numbers]
        self.longest = BROKEN * (radii[bonds.first] + radii[bonds.second])
        self.carry, self.offsets = np.eye(3), bonds.shifts @ self.cell

    def problem(self):
        """What is wrong with the present frame, or None; a good one becomes the last good frame."""
        atoms, bonds, cell = self.atoms, self.bonds, self.atoms.cell.array
        moved = (cell != self.cell).any()
        if moved and np.isfinite(cell).all():  # images far from the origin move far with the cell
            self.carry, self.offsets = np.linalg.solve(self.cell, cell), bonds.shifts @ cell
        positions, momenta = atoms.arrays["positions"], atoms.arrays["momenta"]
        shift, twice_kinetic, broken, length = judge(positions, self.positions, self.carry, momenta, self.masses,
                                                     bonds.first, bonds.second, self.offsets, self.longest)
        temperature = twice_kinetic * self.kelvin
        if not (np.isfinite(shift) and np.isfinite(temperature)):
            return "positions, velocities or forces are not finite"
        if shift > LARGEST_STEP:
            return f"an atom moved by {shift:.1f} Å in one step"
        if temperature > self.limit:
            return f"the temperature reached {temperature:.0f} K, above the limit of {self.limit:.0f} K"
        if broken >= 0:
            i, j = bonds.first[broken], bonds.second[broken]
            return (f"the bond {atoms.symbols[i]}{i}-{atoms.symbols[j]}{j} broke at {length:.2f} Å "
                    "(on_broken_bonds='ignore' lets bonds break)")
        self.positions[:], self.momenta[:] = positions, momenta
        if moved:
            self.cell[:], self.carry = cell, np.eye(3)
        return None

    def restore(self):
        """Put the last good frame back."""
        self.atoms.arrays["positions"][:] = self.positions
        self.atoms.arrays["momenta"][:] = self.momenta
        self.atoms.cell[:] = self.cell


def keep_frame(atoms, beside):
    """Write the last good frame next to an output file.

    Returns
    -------
    str
        Where it is, as words for an error message.
    """
    from ase.io import write

    if beside is None:
        return "the last good frame is in the atoms object"
    path = Path(beside).with_suffix(".last_good.extxyz")
    frame = atoms.copy()
    write(path, frame, format="extxyz")
    return f"the last good frame is in '{path}'"


class Signals:
    """Remembers SIGTERM and SIGINT so that a run can end its step first; the second one acts as usual."""

    def __init__(self):
        self.received = None
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous = {}

    def _note(self, number, frame):
        self.received = signal.Signals(number).name
        self.__exit__()


class Progress:
    """Steps/s, ns/day and time left on stderr: a live bar in a terminal, else a line at every tenth of the way."""

    def __init__(self, title, first, steps, timestep_fs=None, quiet=False):
        self.title, self.first, self.steps, self.timestep_fs, self.quiet = title, first, steps, timestep_fs, quiet
        self.began = time.monotonic()
        self.tenth = 0
        self.shown = self.began
        self.bar = None

    def __enter__(self):
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
                           TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=Console(stderr=True),
                           auto_refresh=False)
            self.task = self.bar.add_task(self.title, total=self.steps, completed=self.first, note="")
            self.bar.start()
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.stop()

    def update(self, step, note=""):
        """Show a step; cheap enough for every step."""
        if self.quiet:
            return
        now = time.monotonic()
        if self.bar is not None:
            if now - self.shown > 0.5 or step == self.steps:
                self.shown = now
                self.bar.update(self.task, completed=step, note=f"{self._rate(step, now)}{note}", refresh=True)
            return
        tenth = 10 * (step - self.first) // max(self.steps - self.first, 1)
        if tenth > self.tenth:
            self.tenth = tenth
            print(f"{self.title}: step {step} of {self.steps}, {self._rate(step, now)}{note}", file=sys.stderr)

    def _rate(self, step, now):
        rate = (step - self.first) / max(now - self.began, 1e-9)
        text = f"{rate:.1f} steps/s"
        if self.timestep_fs is not None:
            left = (self.steps - step) / max(rate, 1e-9)
            text += f", {rate * self.timestep_fs * 0.0864:.3g} ns/day, {left:.0f} s left"
        return text


def prepare_output(*paths):
    """Make the folders of output files.

    Raises
    ------
    SimulationError
        A folder cannot be made.
    """
    for path in paths:
        if path is not None:
            try:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SimulationError(f"The folder of '{path}' cannot be made ({error.strerror}).") from error
