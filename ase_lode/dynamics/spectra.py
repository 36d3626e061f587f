"""Infrared and Raman spectra from the dipole and the polarizability along a trajectory.

Both are power spectra of time derivatives: the autocorrelation of ẋ over all time origins, times a Hann window over
half of the trajectory, transformed. With the harmonic quantum correction βħω/(1 - exp(-βħω)) of the classical line
shape (Ramírez et al., J. Chem. Phys. 121, 3973 (2004)) the integral over a band of the infrared spectrum is then its
intensity and that of the Raman spectrum its scattering activity 45 a'² + 7 γ'², at any temperature.
"""

import csv
from dataclasses import dataclass

import numpy as np
from ase import units
from ase.stress import voigt_6_to_full_3x3_stress

from ase_lode.dynamics.analysis import LIGHT, autocorrelation, even_interval, frame_interval
from ase_lode.dynamics.responder import DIPOLE, POLARIZABILITY
from ase_lode.dynamics.velocities import degrees_of_freedom
from ase_lode.errors import ConfigError

#: What the curves rest on, for summaries.
METHOD = {"window": "Hann over half of the trajectory", "quantum_correction": "harmonic"}
#: Debye per e·Å, and km/mol per (D/Å)²/amu of a normal mode.
DEBYE, INTENSITY = 1 / units.Debye, 42.2561
#: eV per amu Å²/fs².
MECHANICAL = units._amu * 1e10 / units._e
#: Fewest frames of a spectrum.
FEWEST = 32
#: Bands are maxima above this share of the highest, at least this far apart in 1/cm.
SHARE, APART = 0.05, 20.0


@dataclass(frozen=True)
class Record:
    """Response along a run.

    Attributes
    ----------
    frame_fs : float
        Time between frames.
    temperature_K : float
        Mean kinetic temperature.
    volume : float or None
        Mean volume of the cell in Å³ where it is periodic in all directions.
    dipoles : array, shape (frames, 3), or None
        e·Å.
    polarizabilities : array, shape (frames, 3, 3), or None
        Å³.
    """

    frame_fs: float
    temperature_K: float
    volume: float | None
    dipoles: np.ndarray | None
    polarizabilities: np.ndarray | None

    @classmethod
    def of_frames(cls, frames, frame_fs=None, temperature_K=None, respond=None):
        """From frames that hold their response, or from a function that gives it.

        Parameters
        ----------
        frames : list of ase.Atoms
            As `run_md` writes them with `response=`.
        frame_fs, temperature_K : float, optional
            By default what the frames say.
        respond : callable, optional
            Gives `dipole` and `polarizability` of Atoms as a mapping, see `LODECalculator.respond`. Atoms that the
            frames wrap back into the cell are followed out of it, where dipoles are continuous.

        Raises
        ------
        ConfigError
            The time between frames or the temperature is unknown or not positive.
        """
        interval = frame_interval(frames, frame_fs)
        found = [_held(frame) for frame in frames] if respond is None else list(map(respond, _unwrapped(frames)))
        if temperature_K is None:
            energies = [frame.get_kinetic_energy() for frame in frames]
            temperature_K = 2 * np.mean(energies) / (max(degrees_of_freedom(frames[0]), 1) * units.kB)
        volumes = [frame.get_volume() for frame in frames] if frames[0].pbc.all() else None
        return cls(interval, _positive(temperature_K), None if volumes is None else float(np.mean(volumes)),
                   _stacked(found, "dipole", (3,)), _stacked(found, "polarizability", (3, 3)))

    @classmethod
    def of_log(cls, path, frame_fs=None, temperature_K=None):
        """From the CSV log of a run with `response=`; parameters and errors as of `of_frames`."""
        with open(path, encoding="utf-8") as file:
            names = next(csv.reader(file), [])
            if "time_ps" not in names or "temperature_K" not in names:
                raise ConfigError(f"'{path}' is no log of a run; give what run_md wrote as log= or trajectory=.")
            table = np.array([row for row in csv.reader(file) if len(row) == len(names)], dtype=float)
        columns = dict(zip(names, table.reshape(-1, len(names)).T))
        interval = even_interval(columns["time_ps"], frame_fs)
        dipoles = polarizabilities = None
        if DIPOLE[0] in columns:
            dipoles = np.stack([columns[name] for name in DIPOLE], axis=1)
        if POLARIZABILITY[0] in columns:
            polarizabilities = voigt_6_to_full_3x3_stress(np.stack([columns[name] for name in POLARIZABILITY], axis=1))
        volume = float(columns["volume_A3"].mean()) if "volume_A3" in columns else None
        if temperature_K is None:
            temperature_K = columns["temperature_K"].mean()
        return cls(interval, _positive(temperature_K), volume, dipoles, polarizabilities)


def _positive(temperature_K):
    if not temperature_K > 0:
        raise ConfigError("Spectra need a positive temperature; give it (-T) if the frames hold no velocities.")
    return float(temperature_K)


def _unwrapped(frames):
    """Copies of frames whose atoms nowhere move by more than half a cell vector between two of them."""
    last = shifts = 0
    for number, frame in enumerate(frames):
        free = frame.copy()
        if frame.pbc.any():
            places = frame.cell.scaled_positions(frame.positions)
            if number > 0:
                shifts = shifts - np.round(places - last) * frame.pbc
                free.positions += shifts @ frame.cell.array
            last = places
        yield free


def _held(frame):
    results = getattr(frame.calc, "results", {})
    return {"dipole": results.get("dipole"), "polarizability": frame.info.get("polarizability")}


def _stacked(found, name, shape):
    values = [one.get(name) for one in found]
    return None if any(value is None for value in values) else np.array(values, dtype=float).reshape(-1, *shape)


def infrared(record):
    """Infrared spectrum.

    Parameters
    ----------
    record : Record

    Returns
    -------
    wavenumber : array
        1/cm, up to the Nyquist limit.
    curves : dict of str to array
        `absorption`: for a periodic cell the absorption coefficient times the refractive index, n α in 1/cm; for a
        molecule the integrated absorption per wavenumber in km/mol cm.

    Raises
    ------
    ConfigError
        There are no dipoles, or too few frames.
    """
    if record.dipoles is None:
        raise ConfigError("The frames hold no dipoles; run with response=, or give a potential that has them (-p).")
    wavenumber, power = power_spectrum(record.dipoles * DEBYE, record.frame_fs)
    absorption = INTENSITY * power / (units.kB * record.temperature_K / MECHANICAL)
    if record.volume is not None:
        absorption = absorption * 1e5 / (units.mol * 1e-24 * record.volume)
    return wavenumber, {"absorption": absorption}


def raman(record, laser_nm=None):
    """Raman spectra.

    Parameters
    ----------
    record : Record
    laser_nm : float, optional
        Wavelength of the laser: gives Stokes intensities, the activities times (ν0 - ν)⁴/ν/(1 - exp(-hcν/kT)) relative
        to the highest.

    Returns
    -------
    wavenumber : array
        1/cm.
    curves : dict of str to array
        `isotropic` 45 a'², `anisotropic` 7 γ'² and their sum `total`, in Å⁴/amu cm, or as intensities.

    Raises
    ------
    ConfigError
        There are no polarizabilities, too few frames, or no such laser.
    """
    if laser_nm is not None and not laser_nm > 0:
        raise ConfigError("The wavelength of the laser must be positive.")
    if record.polarizabilities is None:
        raise ConfigError("The frames hold no polarizabilities; run with response=, or give a potential that has them "
                          "(-p).")
    mean = np.einsum("tii->t", record.polarizabilities) / 3
    rest = record.polarizabilities - mean[:, None, None] * np.eye(3)
    kT = units.kB * record.temperature_K / MECHANICAL
    wavenumber, isotropic = power_spectrum(mean[:, None], record.frame_fs)
    _, anisotropic = power_spectrum(rest.reshape(-1, 9), record.frame_fs)
    curves = {"isotropic": 45 * isotropic / kT, "anisotropic": 7 * 1.5 * anisotropic / kT}
    curves["total"] = curves["isotropic"] + curves["anisotropic"]
    if laser_nm is not None:
        factor = _stokes(wavenumber, laser_nm, record.temperature_K)
        highest = (factor * curves["total"]).max()
        curves = {name: factor * values / highest for name, values in curves.items()}
    return wavenumber, curves


def _stokes(wavenumber, laser_nm, temperature_K):
    """What turns activities into intensities of Stokes lines; 0 at wavenumber 0, where light is not shifted."""
    shift = np.maximum(wavenumber, 1e-9)
    thermal = -np.expm1(-shift * units.invcm / (units.kB * temperature_K))
    return np.where(wavenumber > 0, (1e7 / laser_nm - shift) ** 4 / shift / thermal, 0.0)


def power_spectrum(series, frame_fs):
    """Spectrum of the time derivative, whose integral over wavenumbers is ⟨|ẋ|²⟩.

    ẋ at the middle of two frames is their difference over the time between; the factor that this takes from a wave,
    sin(x)/x with x = ωΔt/2, is given back.

    Parameters
    ----------
    series : array, shape (frames, columns)
    frame_fs : float

    Returns
    -------
    wavenumber : array
        1/cm.
    power : array
        (unit of the series/fs)² cm.

    Raises
    ------
    ConfigError
        Fewer than 32 frames.
    """
    if len(series) < FEWEST:
        raise ConfigError(f"A spectrum needs at least {FEWEST} frames, not {len(series)}; run longer, or write more of "
                          "them (trajectory_interval, log_interval).")
    velocity = np.diff(series, axis=0) / frame_fs
    correlation = autocorrelation(velocity).sum(axis=1)[: len(velocity) // 2]
    window = np.cos(0.5 * np.pi * np.arange(len(correlation)) / len(correlation)) ** 2
    even = np.concatenate([correlation * window, (correlation * window)[:0:-1]])
    frequency = np.fft.rfftfreq(len(even), frame_fs)
    power = 2 * np.fft.rfft(even).real * frame_fs * LIGHT / np.sinc(frequency * frame_fs) ** 2
    return frequency / LIGHT, power


def bands(wavenumber, curve):
    """Positions of a spectrum's bands.

    Returns
    -------
    list of float
        Wavenumbers of the maxima above 5 % of the highest and 20/cm apart, in 1/cm.
    """
    from scipy.signal import find_peaks

    distance = max(1, int(APART / (wavenumber[1] - wavenumber[0])))
    found, _ = find_peaks(curve, height=SHARE * curve.max(), distance=distance)
    return [float(wavenumber[k]) for k in found]
