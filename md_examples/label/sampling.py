"""Molecular dynamics with the teacher itself, as a source of structures."""

import numpy as np
from ase.md.langevinbaoab import LangevinBAOAB
from ase.units import fs, kB
from levels import LEVELS


def snapshots(atoms, level, temperature_K, random, *, count, every, discard, timestep_fs):
    """Sample a canonical trajectory, with a thermostat whose relaxation time is 50 fs.

    Parameters
    ----------
    atoms : Atoms
        Start; left unchanged.
    level : str
        A key of ``LEVELS``.
    temperature_K : float
        Temperature.
    random : numpy.random.Generator
        Source of the thermostat's noise.
    count, every, discard : int
        Snapshots to return, steps between two of them, steps before the first.
    timestep_fs : float
        Time step.

    Returns
    -------
    list of Atoms
        ``count`` structures without labels.
    """
    atoms = atoms.copy()
    atoms.calc = LEVELS[level]()
    speeds = np.sqrt(kB * temperature_K / atoms.get_masses())
    atoms.set_velocities(speeds[:, None] * random.normal(size=(len(atoms), 3)))
    dynamics = LangevinBAOAB(atoms, timestep_fs * fs, temperature_K=temperature_K, T_tau=50 * fs, rng=random)
    dynamics.run(discard)
    frames = []
    for _ in range(count):
        dynamics.run(every)
        frames.append(atoms.copy())
    return frames
