"""Structures and calculators that are pure functions of the geometry, for the tests of the drivers."""

import numpy as np
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from ase_lode.errors import StructureError


class PureEMT(EMT):
    """EMT whose neighbour list does not remember: the pair order, and with it the rounding, depends on the past."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, all_changes)


class Springs(Calculator):
    """Harmonic bonds of rest length 1 Å between the atoms 2i and 2i + 1, k in eV/Å²."""

    implemented_properties = ("energy", "forces")

    def __init__(self, stiffness=20.0):
        super().__init__()
        self.stiffness = stiffness

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        bonds = self.atoms.positions[1::2] - self.atoms.positions[::2]
        lengths = np.linalg.norm(bonds, axis=1)
        pull = (self.stiffness * (lengths - 1) / lengths)[:, None] * bonds
        forces = np.empty_like(self.atoms.positions)
        forces[::2], forces[1::2] = pull, -pull
        self.results = {"energy": float(0.5 * self.stiffness * ((lengths - 1) ** 2).sum()), "forces": forces}


class Lattice(Calculator):
    """Independent atoms in Σ cos x cos y, x = 2π s with fractional coordinates s, plus an energy of the cell's shape.

    The products couple the directions, without which motion would be regular and mix slowly. At constant s the energy
    does not depend on the volume, so that the volume's distribution is that of an ideal gas, V^N exp(-PV/kT), while
    the atoms are coupled to the laboratory and keep all 3N degrees of freedom.
    """

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, dimensions=3):
        super().__init__()
        self.dimensions = dimensions

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        d, cell = self.dimensions, self.atoms.cell.array
        inverse = np.linalg.inv(cell)
        angles = 2 * np.pi * self.atoms.positions @ inverse
        cosines, others = np.cos(angles), np.roll(np.cos(angles), 1, axis=1)
        both = cosines.sum(axis=1, keepdims=True) - cosines
        metric = cell[:d, :d].T @ cell[:d, :d] / abs(np.linalg.det(cell[:d, :d])) ** (2 / d)
        strained = np.zeros((3, 3))
        strained[:d, :d] = 4 * (metric - np.trace(metric) / d * np.eye(d)) / d
        self.results = {
            "energy": float(0.05 * (cosines * others).sum() + 2 * (np.trace(metric) / d - 1)),
            "forces": 0.05 * 2 * np.pi * np.sin(angles) * both @ inverse.T,
            "stress": strained[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / self.atoms.cell.volume}


class Free(Calculator):
    """Atoms that feel nothing."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3)), "stress": np.zeros(6)}


class Faulty(PureEMT):
    """EMT that goes wrong, in a chosen way, at the n-th evaluation."""

    def __init__(self, fault, after):
        super().__init__()
        self.fault, self.left = fault, after

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.left -= 1
        if self.left > 0:
            return
        if self.fault == "raise":
            raise StructureError("Structure outside the training range; use on_extrapolation='warn'.")
        self.results["forces"] = self.results["forces"] * 0 + (np.nan if self.fault == "nan" else 1e6)


def copper(repeat=(2, 1, 1)):
    """A small periodic copper crystal."""
    atoms = bulk("Cu", cubic=True) * repeat
    atoms.calc = PureEMT()
    return atoms


def slab():
    """A copper slab in a hexagonal cell with vacuum."""
    from ase.build import fcc111

    atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    atoms.pbc = True
    atoms.calc = PureEMT()
    return atoms


def cluster():
    """Four isolated copper atoms."""
    atoms = copper((1, 1, 1))
    atoms.cell, atoms.pbc = None, False
    return atoms


def water():
    """An isolated molecule."""
    atoms = molecule("H2O")
    atoms.calc = PureEMT()
    return atoms
