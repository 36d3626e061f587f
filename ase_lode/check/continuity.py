"""Two atoms pulled apart: neither energy nor force may jump, at cutoffs or anywhere else."""

from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from ase_lode.check.results import Finding

#: Distances in Å: first as share of the covalent one, last, and step.
START, END, STEP = 0.7, 12.0, 0.05
#: Forces in eV/Å beyond which atoms are closer than they ever come.
WALL = 100.0
#: Places looked at closely, and the width in Å to which they are narrowed: slopes leave 1e-9 eV/Å there.
PLACES, WIDTH = 3, 1e-11
LIMIT = 1e-8
#: Pairs of elements looked at, most.
PAIRS = 6


def no_jumps(subject, structures):
    """Energy and force of two atoms pulled apart are continuous."""
    numbers = np.unique(np.concatenate([atoms.numbers for atoms in structures]))
    for pair in list(combinations_with_replacement(numbers, 2))[:PAIRS]:
        yield from _jumps(subject, pair)


def _jumps(subject, pair):
    direction = np.array([0.6, -0.48, 0.64])

    def at(distance):
        atoms = Atoms(pair, [np.zeros(3), distance * direction])
        return subject.energy(atoms), subject.forces(atoms)[1] @ direction

    grid = np.arange(START * covalent_radii[list(pair)].sum(), END, STEP)
    energies, forces = np.array([at(distance) for distance in grid]).T
    first = np.max(np.flatnonzero(np.abs(forces) > WALL), initial=-1) + 1
    places = {"energy": _energy_suspects(energies[first:], forces[first:]), "force": _force_suspects(forces[first:])}
    names = "-".join(chemical_symbols[number] for number in pair)
    for column, (name, unit) in enumerate((("energy", "eV"), ("force", "eV/Å"))):
        jumps = [_narrow(at, column, grid[first + place], grid[first + place + 1]) for place in places[name]]
        jump, distance = max(jumps)
        yield Finding(f"{name} of {names} at {distance:.5g} Å", float(jump), LIMIT, unit)


def _energy_suspects(energies, forces):
    """Intervals where the energy changes most beyond the integral of the force, a cubic through four points."""
    integral = STEP / 24 * (13 * (forces[1:-2] + forces[2:-1]) - forces[:-3] - forces[3:])
    excess = np.abs(energies[2:-1] - energies[1:-2] + integral)
    return [place + 1 for place in _outliers(excess)]


def _force_suspects(forces):
    """Intervals where the sixth difference of the force is large: smooth curves have hardly any.

    Summed, its kernel 1 -6 15 -20 15 -6 1 is largest, 10, at the two intervals in its middle.
    """
    return [place + shift for place in _outliers(np.abs(np.diff(forces, n=6))) for shift in (2, 3)]


def _outliers(values):
    """Places of the largest values in units of the median around them, a few apart."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, 10, mode="reflect"), 21)
    chosen = []
    for place in np.argsort(values / (np.median(around, axis=1) + 0.1 * LIMIT))[::-1]:
        if len(chosen) < PLACES and all(abs(place - other) > 3 for other in chosen):
            chosen.append(place)
    return chosen


def _narrow(at, column, left, right):
    """Halve an interval towards the larger change; what is left of the change at the end is a jump."""
    a, b = at(left), at(right)
    while right - left > WIDTH:
        middle = 0.5 * (left + right)
        m = at(middle)
        if _change(a, m, column, middle - left) > _change(m, b, column, right - middle):
            right, b = middle, m
        else:
            left, a = middle, m
    return _change(a, b, column, right - left), left


def _change(a, b, column, width):
    """Change between two distances; that of the energy beyond what the forces account for."""
    return abs(b[0] - a[0] + 0.5 * width * (a[1] + b[1])) if column == 0 else abs(b[1] - a[1])
