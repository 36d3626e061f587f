"""Dielectric response of a structure: dipole, polarizability, dielectric tensor and Born effective charges.

Dipole          μ = Σ_i Q_i r_i + Σ_i q_i (r_i - r̄) + Σ_i μ_i, with Q_i the charges that source a ridge's fields
                (shifted evenly to the total charge; without such charges, and in a network, that charge spread
                evenly), q_i of order 0 and μ_i of order 1, both fitted. About the origin of coordinates. q_i makes
                sense for isolated systems alone.
Polarizability  α = Σ_i α_i, orders 0 and 2.
Dielectric      the same for the Clausius-Mossotti polarizability a = 3V/4π (ε - 1)(ε + 2)⁻¹, which is nearly a sum
                over atoms, turned into ε = (1 + 2x)(1 - x)⁻¹ with x = 4πa/3V.
Born charges    Z_iab = ∂μ_a/∂r_ib by the reverse pass, or fitted atom by atom: orders 0, 2 and the axial vector.
                What the sum over atoms lacks to the total charge is spread evenly.
"""

from dataclasses import dataclass

import numpy as np

from ase_lode.features.equivariants import cartesian_tensor, cartesian_vector
from ase_lode.features.representation import TOLERANCE
from ase_lode.models.response_network import NetworkResponse
from ase_lode.models.response_ridge import RidgeResponse
from ase_lode.neighbors import NeighborList


@dataclass
class ResponseValues:
    """Response of one structure; what the model does not give, or the structure does not define, is None.

    Attributes
    ----------
    dipole : array, shape (3,)
        e·Å, about the origin of coordinates.
    born_effective_charges : array, shape (atoms, 3, 3)
        Z[i, a, b] = ∂μ_a/∂r_ib in e.
    polarizability : array, shape (3, 3)
        Å³; of periodic structures (ε - 1) V/4π where none was fitted to them.
    dielectric_tensor : array, shape (3, 3)
    extrapolation : float
        How far environments leave the range of the training data, in units of that range.
    closest : float
        Smallest distance of two atoms within the cutoff.
    """

    dipole: np.ndarray | None
    born_effective_charges: np.ndarray | None
    polarizability: np.ndarray | None
    dielectric_tensor: np.ndarray | None
    extrapolation: float
    closest: float

    @property
    def unphysical(self):
        """Whether no ground state answers so: α that is not positive, ε below 1."""
        found = ((self.polarizability, 0), (self.dielectric_tensor, 1))
        return any(tensor is not None and np.linalg.eigvalsh(tensor)[0] <= least for tensor, least in found)


def read_response(header, arrays):
    """The response model of a potential file.

    Raises
    ------
    KeyError, ValueError
        It is inconsistent in itself.
    """
    kind = NetworkResponse if header["model"]["head"]["type"] == "network" else RidgeResponse
    return kind.read(header, arrays)


class ResponseEvaluator:
    """A response model ready to run, with tables and meshes; not shared between threads.

    Parameters
    ----------
    response : Response
    tolerance : float
        Relative error of the fields and their first derivatives.
    """

    def __init__(self, response, tolerance=TOLERANCE):
        self.response = response
        self.tensors = response.tensors(tolerance)
        self.representation = self.tensors.representation

    def evaluate(self, system, neighbors=None, n_threads=1, born=True):
        """Response of one structure.

        Parameters
        ----------
        system : System
        neighbors : NeighborList, optional
            A list to keep between calls.
        n_threads : int
        born : bool
            Whether to compute Born charges, which cost three reverse passes where they follow from the dipole.

        Returns
        -------
        ResponseValues
        """
        neighbors = neighbors or NeighborList(self.representation.cutoff)
        targets = self.response.targets
        has_dipole = "dipole" in targets and self._dipole_defined(system)
        fitted_born = "born_effective_charges" in targets
        wanted = [(name, order) for name, entry in targets.items() for order in entry["order"]
                  if (name != "dipole" or has_dipole) and (name != "born_effective_charges" or born) and
                  (name != "dielectric_tensor" or system.pbc.all())]
        directions = []
        if born and has_dipole and not fitted_born:
            directions = [{key: _direction(key[1], a, _centred(system)) for key in wanted if key[0] == "dipole"}
                          for a in range(3)]
        found = self.tensors.compute(system, neighbors, wanted, directions, n_threads)
        atomic = found.atomic
        fixed = self.tensors.fixed_charges(system, found.species)
        dipole = _dipole(system, fixed, atomic) if has_dipole else None
        charges = None
        if fitted_born and born:
            charges = _tensor(atomic, "born_effective_charges")
        elif directions:
            charges = _derivative(fixed, atomic, found.gradients)
        if charges is not None:
            charges = charges + (system.charge * np.eye(3) - charges.sum(axis=0)) / len(system)
        polarizability = _tensor(atomic, "polarizability").sum(axis=0) if "polarizability" in targets else None
        dielectric = None
        if "dielectric_tensor" in targets and system.pbc.all():
            dielectric = dielectric_tensor(_tensor(atomic, "dielectric_tensor").sum(axis=0), system.measure)
            if "polarizability" not in targets or targets["polarizability"]["systems"] == "isolated":
                polarizability = (dielectric - np.eye(3)) * system.measure / (4 * np.pi)
        closest = float(found.distances.min()) if len(found.distances) else np.inf
        return ResponseValues(dipole, charges, polarizability, dielectric, self._extrapolation(found), closest)

    def _dipole_defined(self, system):
        """Isolated, or neutral with fixed charges: then changes along continuous positions are defined."""
        return not system.pbc.any() or ("0" not in self.response.targets["dipole"]["order"] and system.charge == 0)

    def _extrapolation(self, found):
        low, high = (bound[found.species] for bound in self.response.ranges)
        excess = np.maximum(np.maximum(low - found.scalars, found.scalars - high), 0.0).max(axis=1)
        return float((excess / np.maximum((high - low).max(axis=1), 1e-12)).max())


def _dipole(system, fixed, atomic):
    dipole = fixed @ system.positions
    if ("dipole", "1") in atomic:
        dipole = dipole + cartesian_vector(atomic["dipole", "1"].sum(axis=0))
    if ("dipole", "0") in atomic:
        dipole = dipole + atomic["dipole", "0"][:, 0] @ _centred(system)
    return dipole


def _derivative(fixed, atomic, gradients):
    """∂μ_a/∂r_ib, given how the atomic contributions to μ_a change."""
    charges = fixed
    if ("dipole", "0") in atomic:
        charges = charges + atomic["dipole", "0"][:, 0] - atomic["dipole", "0"].mean()
    result = charges[:, None, None] * np.eye(3)
    for a, gradient in enumerate(gradients):
        result[:, a] += gradient
    return result


def _centred(system):
    return system.positions - system.positions.mean(axis=0)


def _direction(order, a, arms):
    """What the Cartesian component a of the dipole takes from the order 0 or 1 of every atom."""
    if order == "0":
        return np.ascontiguousarray(arms[:, a : a + 1])
    unit = np.zeros((len(arms), 3))
    unit[:, [2, 0, 1][a]] = 1.0
    return unit


def _tensor(atomic, target):
    return cartesian_tensor({order: values for (name, order), values in atomic.items() if name == target})


def dielectric_tensor(polarizability, volume):
    """ε of a Clausius-Mossotti polarizability in Å³ and a volume in Å³."""
    x = 4 * np.pi / (3 * volume) * polarizability
    return np.linalg.solve(np.eye(3) - x, np.eye(3) + 2 * x)


def clausius_mossotti(dielectric, volume):
    """The polarizability in Å³ of `dielectric_tensor`."""
    return 3 * volume / (4 * np.pi) * np.linalg.solve(dielectric + 2 * np.eye(3), dielectric - np.eye(3))
