"""The calculator under check: fresh instances, plain results, and how exact it promises to be."""

import copy
import importlib
import sys
from functools import partial
from pathlib import Path

import numpy as np
from ase.calculators.calculator import PropertyNotImplementedError

from ase_lode.calculator import LODECalculator
from ase_lode.check.results import Finding, NotOffered
from ase_lode.errors import ConfigError
from ase_lode.features.representation import TOLERANCE

#: What the particle mesh promises at its default tolerance: eV/atom, and share of the root-mean-square force.
MESH_ENERGY, MESH_FORCE = 1e-6, 1e-5


class Subject:
    """A calculator, called as a user would.

    Parameters
    ----------
    calculator : ASE calculator or callable
        An instance, whose copies serve where a check needs a fresh one, or what makes instances.
    """

    def __init__(self, calculator):
        instance = hasattr(calculator, "get_potential_energy") and not isinstance(calculator, type)
        self.make = partial(copy.deepcopy, calculator) if instance else calculator
        try:
            self.calc = self.make()
        except (TypeError, NotImplementedError, copy.Error) as error:
            raise ConfigError(f"The calculator cannot be {'copied' if instance else 'made'} ({error}); give a function "
                              "without arguments that makes it.") from error
        self.own = isinstance(self.calc, LODECalculator)
        if self.own and not self.offers("energy"):
            raise ConfigError(f"The potential '{self.calc.potential.name}' gives its response alone; the checks are of "
                              "energies, forces and stresses.")

    def offers(self, name):
        """Whether the calculator lists a property."""
        return name in getattr(self.calc, "implemented_properties", ())

    def energy(self, atoms, calc=None):
        """Energy in eV that the forces are the derivative of."""
        return float(_attached(atoms, calc or self.calc).get_potential_energy(
            force_consistent=self.offers("free_energy")))

    def forces(self, atoms, calc=None):
        """Forces in eV/Å, shape (atoms, 3)."""
        return _called(_attached(atoms, calc or self.calc).get_forces, "forces", apply_constraint=False)

    def stress(self, atoms):
        """Stress in eV/Å³, shape (3, 3)."""
        if not self.offers("stress"):
            raise NotOffered("the calculator has no stress")
        return _called(_attached(atoms, self.calc).get_stress, "stress", voigt=False, apply_constraint=False)

    def results(self, atoms, calc=None):
        """Energy per atom and forces."""
        return self.energy(atoms, calc) / len(atoms), self.forces(atoms, calc)

    def on_mesh(self, atoms):
        """Whether the results carry the error of the particle mesh."""
        return self.own and atoms.pbc.any() and bool(self.calc.potential.model.fields)

    def compare(self, what, atoms, expected, found, energy, force):
        """Findings on the energy per atom and the forces of two evaluations that should agree.

        Parameters
        ----------
        what : str
            What was changed between them.
        atoms : ase.Atoms
            The structure.
        expected, found : (float, array)
            Energy per atom and forces.
        energy, force : float
            Limits in eV/atom and eV/Å without a mesh.
        """
        difference = found[1] - expected[1]
        deviation = np.abs(difference).max()
        if self.on_mesh(atoms):
            share = self.calc._tolerance / TOLERANCE
            energy = max(energy, MESH_ENERGY * share)
            force = max(force, MESH_FORCE * share * rms(expected[1]))
            deviation = rms(difference)
        yield Finding(f"energy after {what}", abs(found[0] - expected[0]), energy, "eV/atom")
        yield Finding(f"forces after {what}", float(deviation), force, "eV/Å")


def rms(values):
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def _attached(atoms, calc):
    atoms = atoms.copy()
    atoms.calc = calc
    return atoms


def _called(method, name, **keywords):
    try:
        return np.array(method(**keywords), dtype=float)
    except (PropertyNotImplementedError, NotImplementedError) as error:
        raise NotOffered(f"no {name} for this structure") from error


def load(spec):
    """What makes the calculator that a text names.

    Parameters
    ----------
    spec : str
        A potential's name or file, or `module:Calculator`: a class, a function that makes calculators, or an instance
        in an importable module; modules in the working directory are found.

    Raises
    ------
    ConfigError
        The module cannot be imported or has no such name.
    """
    if ":" not in spec or Path(spec).exists():
        return partial(LODECalculator, spec, on_extrapolation="ignore")
    module, _, name = spec.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ConfigError(f"The module '{module}' cannot be imported ({error}); install it or run in its "
                          "folder.") from error
    except AttributeError as error:
        raise ConfigError(f"The module '{module}' has no '{name}'; give module:Calculator.") from error
