"""The settings of a molecular-dynamics run: unit, default and reason of each, checked once, kept in the checkpoint."""

import difflib
import math
from dataclasses import asdict, dataclass, fields

from ase_lode.errors import ConfigError

#: Ensembles by name; those with a barostat also need a pressure and a stress.
CONSTANT_VOLUME = ("nve", "nvt-bussi", "nvt-langevin", "nvt-nhc")
CONSTANT_PRESSURE = ("npt-mtk", "npt-mtk-iso", "npt-xy")


@dataclass
class Settings:
    """Everything that decides a trajectory, and where it goes.

    Attributes
    ----------
    ensemble : str
        One of `CONSTANT_VOLUME` and `CONSTANT_PRESSURE`.
    temperature_K, pressure_GPa : list of two floats
        Targets at the start and at `ramp_steps`, linear in between and constant afterwards.
    timestep_fs : float
        0.5 fs resolves the fastest vibration, an O-H stretch of 9 fs, in 18 steps.
    steps : int
        Number of steps in all, restarts included.
    ramp_steps : int
        Length of the ramps; the number of steps of the first run, so that a longer restart changes nothing before it.
    seed : int
        Seed of the velocities and of stochastic thermostats.
    friction_per_ps : float
        Langevin friction; 10/ps thermalises in 0.1 ps and hardly slows diffusion of liquids.
    taut_fs, taup_fs : float
        Coupling times of thermostats and barostats; ten vibrations, and ten times slower than the thermostat.
    log_interval, trajectory_interval, checkpoint_interval : int
        Steps between rows, frames and checkpoints; a row costs far less than a frame.
    max_temperature_K : float
        Above it the run has exploded; twenty times the target, but never below 10,000 K, since one degree of freedom
        fluctuates a lot.
    on_broken_bonds : str
        "stop", since most potentials know no broken bonds, or "ignore" for reactions; see `observers.BROKEN`.
    zero_momentum : bool
        Remove the drift (isolated: and the rotation) of the velocities drawn at the start.
    minimise : bool
        Relax the positions to 0.1 eV/Å before the velocities are drawn.
    response : True, str or None
        Log dipole and polarizability: of the run's own potential, or of one by name or file.
    trajectory, log, checkpoint : str or None
        Output files.
    """

    ensemble: str = "nvt-bussi"
    temperature_K: list = 300.0
    pressure_GPa: list = 0.0
    timestep_fs: float = 0.5
    steps: int = 1000
    ramp_steps: int = None
    seed: int = 0
    friction_per_ps: float = 10.0
    taut_fs: float = 100.0
    taup_fs: float = 1000.0
    log_interval: int = 10
    trajectory_interval: int = 100
    checkpoint_interval: int = 1000
    max_temperature_K: float = None
    on_broken_bonds: str = "stop"
    zero_momentum: bool = True
    minimise: bool = False
    response: str | bool = None
    trajectory: str = None
    log: str = None
    checkpoint: str = None

    def __post_init__(self):
        if self.ensemble not in CONSTANT_VOLUME + CONSTANT_PRESSURE:
            raise ConfigError(f"Unknown ensemble '{self.ensemble}'; use one of "
                              f"{', '.join(CONSTANT_VOLUME + CONSTANT_PRESSURE)}.")
        self.temperature_K = _ramp("temperature_K", self.temperature_K)
        self.pressure_GPa = _ramp("pressure_GPa", self.pressure_GPa)
        lowest = min(self.temperature_K)
        if lowest < 0 or (lowest == 0 and self.ensemble != "nve"):
            raise ConfigError("temperature_K must be above 0 (0 starts an nve run at rest).")
        if self.ensemble == "nve" and self.temperature_K[0] != self.temperature_K[1]:
            raise ConfigError("nve has no thermostat to follow a temperature ramp; choose an nvt ensemble.")
        if self.ensemble in CONSTANT_VOLUME and self.pressure_GPa != [0.0, 0.0]:
            raise ConfigError(f"{self.ensemble} keeps the cell; for a pressure choose one of "
                              f"{', '.join(CONSTANT_PRESSURE)}.")
        for name in ("timestep_fs", "friction_per_ps", "taut_fs", "taup_fs"):
            if not (is_number(getattr(self, name)) and getattr(self, name) > 0):
                raise ConfigError(f"{name} must be a positive number, got {getattr(self, name)!r}.")
        for name in ("log_interval", "trajectory_interval", "checkpoint_interval"):
            setattr(self, name, whole(name, getattr(self, name), 1))
        if self.on_broken_bonds not in ("stop", "ignore"):
            raise ConfigError(f"on_broken_bonds must be stop or ignore, got {self.on_broken_bonds!r}.")
        self.steps = whole("steps", self.steps, 0)
        self.seed = whole("seed", self.seed, 0)
        if self.ramp_steps is None:
            self.ramp_steps = self.steps
        if self.max_temperature_K is None:
            self.max_temperature_K = max(1e4, 20 * max(self.temperature_K))

    @classmethod
    def keywords(cls):
        """Names a user may give."""
        return tuple(field.name for field in fields(cls) if field.name != "ramp_steps")

    def targets(self, step):
        """Temperature in K and pressure in GPa at a step."""
        share = min(step / self.ramp_steps, 1.0) if self.ramp_steps else 1.0
        return tuple(start + (end - start) * share for start, end in (self.temperature_K, self.pressure_GPa))

    def continued(self, given):
        """Settings of a restart: the saved ones, with the number of steps renewed.

        Raises
        ------
        ConfigError
            Another setting differs from the saved one.
        """
        saved = asdict(self)
        wanted = asdict(Settings(**{**saved, **given}))
        for name in self.keywords():
            if name != "steps" and wanted[name] != saved[name]:
                raise ConfigError(f"A restart keeps {name} = {saved[name]!r}; drop {name} or start a new run.")
        return Settings(**wanted)


def whole(name, value, lowest):
    """An integer no smaller than `lowest`."""
    if not is_number(value) or value != int(value) or value < lowest:
        raise ConfigError(f"{name} must be a whole number of at least {lowest}, got {value!r}.")
    return int(value)


def nearest(name, known):
    """Hint naming the known word closest to a mistyped one, or all of them."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"use one of {', '.join(known)}."


def is_number(value):
    """Whether a value is one finite number."""
    try:
        return not isinstance(value, bool) and math.isfinite(value)
    except TypeError:
        return False


def _ramp(name, value):
    ends = list(value) if isinstance(value, (list, tuple)) else [value, value]
    if len(ends) != 2 or not all(is_number(end) for end in ends):
        raise ConfigError(f"{name} must be a number or [start, end], got {value!r}.")
    return [float(end) for end in ends]
