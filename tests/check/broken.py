"""Calculators broken on purpose, each in one way, and the sound one they are made of.

Importable by name, as other processes have to find them.
"""

import os
import threading
import time

import numpy as np
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.calculators.lj import LennardJones
from threadpoolctl import threadpool_info

from ase_lode.errors import StructureError


class Sound(LennardJones):
    """Smooth, with one instance's results a function of the structure alone, and strict about its input."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(self):
        super().__init__(sigma=2.3, epsilon=0.4, rc=5.5, ro=3.0, smooth=True)

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        self.refuse(atoms)
        self.nl = None  # a kept list may sum in another order
        super().calculate(atoms, properties, system_changes)
        self.spoil(self.atoms, self.results)
        self.results["free_energy"] = self.results["energy"]

    def refuse(self, atoms):
        if len(atoms) == 0 or (atoms.numbers == 0).any():
            raise StructureError("There are no atoms of known elements.")
        periodic = atoms.cell.array[atoms.pbc]
        if not np.isfinite(atoms.positions).all() or np.linalg.matrix_rank(periodic) < len(periodic):
            raise StructureError("Positions or cell are not usable.")

    def spoil(self, atoms, results):
        pass


class NoStress(Sound):
    implemented_properties = ["energy", "free_energy", "forces"]

    def spoil(self, atoms, results):
        results.pop("stress", None)


class StressOnRequest(Sound):
    """Lists a stress but gives none for this structure."""

    def spoil(self, atoms, results):
        if results.pop("stress", None) is not None:
            raise PropertyNotImplementedError("stress")


class NotFinite(Sound):
    def spoil(self, atoms, results):
        results["energy"] = np.nan


class WrongShape(Sound):
    def spoil(self, atoms, results):
        results["forces"] = results["forces"][:-1]


class RefusesSlabs(Sound):
    def refuse(self, atoms):
        super().refuse(atoms)
        if atoms.pbc.sum() == 2:
            raise RuntimeError("slabs are beyond me")


class Breaks(Sound):
    """Works once on a structure as given, fails when atoms move."""

    first = None

    def refuse(self, atoms):
        super().refuse(atoms)
        if self.first is None:
            self.first = atoms.positions.copy()
        if (self.first != atoms.positions).any():
            raise RuntimeError("lost the atoms")


class ScaledForces(Sound):
    def spoil(self, atoms, results):
        results["forces"] *= 1.001


class OneWrongForce(Sound):
    """Opposite errors on two atoms: the sum stays zero."""

    def spoil(self, atoms, results):
        results["forces"][0] += [0, 0, 1e-4]
        results["forces"][1] -= [0, 0, 1e-4]


class StressSign(Sound):
    def spoil(self, atoms, results):
        if "stress" in results:
            results["stress"] = -results["stress"]


class VoigtOrder(Sound):
    def spoil(self, atoms, results):
        if "stress" in results:
            results["stress"] = results["stress"][[0, 1, 2, 3, 5, 4]]


class StressUnit(Sound):
    """Stress times volume."""

    def spoil(self, atoms, results):
        if "stress" in results:
            results["stress"] = results["stress"] * atoms.get_volume()


class Anisotropic(Sound):
    def spoil(self, atoms, results):
        d = atoms.get_all_distances(vector=True)
        results["energy"] += 1e-6 * (d[..., 2] ** 2).sum()


class Drags(Sound):
    """An external potential: depends on where the system stands."""

    def spoil(self, atoms, results):
        results["energy"] += 1e-5 * np.sin(atoms.positions[:, 0]).sum()


class ForcesNotTurned(Sound):
    def spoil(self, atoms, results):
        results["forces"][:, 0] *= 1 + 1e-6


class OrderDependent(Sound):
    def spoil(self, atoms, results):
        results["energy"] += 1e-6 * np.arange(len(atoms)) @ np.linalg.norm(results["forces"], axis=1)


class Chiral(Sound):
    def spoil(self, atoms, results):
        a, b, c = atoms.positions[1:4] - atoms.positions[0]
        results["energy"] += 1e-8 * np.cross(a, b) @ c


class NotExtensive(Sound):
    def spoil(self, atoms, results):
        results["energy"] *= 1 + 1e-6 * len(atoms)


class WrongInSlabs(Sound):
    """An energy per cell where two directions are periodic."""

    def spoil(self, atoms, results):
        results["energy"] += 1e-6 * (atoms.pbc.sum() == 2)


class ReadsTheDummyVector(Sound):
    def spoil(self, atoms, results):
        results["energy"] += 1e-6 * np.abs(atoms.cell.array[~atoms.pbc]).sum()


class WrongOutsideTheCell(Sound):
    def spoil(self, atoms, results):
        if atoms.cell.rank == 3:
            results["energy"] += 1e-6 * np.abs(np.floor(atoms.get_scaled_positions(wrap=False))).sum()


class ReadsTheCell(Sound):
    def spoil(self, atoms, results):
        results["energy"] += 1e-6 * np.linalg.norm(atoms.cell.array, axis=1).sum()


class AcceptsAnything(Sound):
    def refuse(self, atoms):
        pass


class AcceptsNan(Sound):
    def refuse(self, atoms):
        if np.isfinite(atoms.positions).all():
            super().refuse(atoms)

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        if np.isfinite(atoms.positions).all():
            super().calculate(atoms, properties, system_changes)
        else:
            self.results = {"energy": np.nan, "free_energy": np.nan, "forces": np.full((len(atoms), 3), np.nan)}


class Speechless(Sound):
    """Unknown elements end in a KeyError."""

    def refuse(self, atoms):
        if 0 in atoms.numbers:
            raise KeyError(0)
        super().refuse(atoms)


class CrashesOnNan(Sound):
    def refuse(self, atoms):
        if not np.isfinite(atoms.positions).all():
            os._exit(11)
        super().refuse(atoms)


class ForceJumps(Sound):
    """Truncated: the energy is shifted to be continuous, the force is not."""

    def __init__(self):
        super().__init__()
        self.parameters.smooth = False


class EnergyJumps(Sound):
    """Two atoms within 4 Å have a little more energy, without a force."""

    def spoil(self, atoms, results):
        d = atoms.get_all_distances(mic=bool(atoms.pbc.any()))
        results["energy"] += 1e-6 * (d[np.triu_indices(len(atoms), 1)] < 4.0123).sum()


class NetForce(Sound):
    def spoil(self, atoms, results):
        results["forces"] += [0, 1e-7, 0]


class Torque(Sound):
    def spoil(self, atoms, results):
        arms = atoms.positions - atoms.positions.mean(axis=0)
        results["forces"] += 1e-7 * np.cross([0, 0, 1.0], arms)


class Drifts(Sound):
    """Results depend on how often it was called."""

    calls, amount = 0, 1e-9

    def spoil(self, atoms, results):
        self.calls += 1
        results["energy"] *= 1 + self.amount * self.calls


class DriftsSlightly(Drifts):
    amount = 4e-16


class KeepsState(Sound):
    """Starts from the last structure, as a self-consistent cycle does."""

    last = 0.0

    def spoil(self, atoms, results):
        self.last, results["energy"] = results["energy"], results["energy"] + 1e-9 * self.last


class CountsThreads(Sound):
    def spoil(self, atoms, results):
        results["energy"] += 1e-6 * sum(pool["num_threads"] for pool in threadpool_info())


class MainThreadOnly(Sound):
    def refuse(self, atoms):
        super().refuse(atoms)
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("signal only works in main thread")


class SharedScratch(Sound):
    """Instances share an array, filled while another thread may write it."""

    scratch = np.zeros(1)

    def spoil(self, atoms, results):
        self.scratch[0] = results["energy"]
        time.sleep(0.01)
        results["energy"] = float(self.scratch[0])


class DiesInAFork(Sound):
    def __init__(self):
        super().__init__()
        self.home = os.getpid()

    def refuse(self, atoms):
        super().refuse(atoms)
        if os.getpid() != self.home:
            os._exit(7)


class HangsInAFork(DiesInAFork):
    def refuse(self, atoms):
        if os.getpid() != self.home:
            time.sleep(600)


class CannotBeSent(Sound):
    def __init__(self):
        super().__init__()
        self.pool = threading.Lock()

    def __deepcopy__(self, memo):
        return type(self)()


class CannotBeCopied(Sound):
    def __init__(self):
        super().__init__()
        self.pool = threading.Lock()


class OtherInAnotherProcess(Sound):
    home = os.environ.setdefault("BROKEN_HOME", str(os.getpid()))

    def spoil(self, atoms, results):
        results["energy"] += 1e-9 * (self.home != str(os.getpid()))
