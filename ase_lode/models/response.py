"""Dielectric response of a structure: dipole, polarizability, dielectric tensor and Born effective charges.

Dipole          μ = Σ_i Q_i r_i + Σ_i q_i (r_i - r̄) + Σ_i μ_i, with Q_i the charges that source the fields (shifted
                evenly to the total charge), q_i of order 0 and μ_i of order 1, both fitted. About the origin of
                coordinates. q_i makes sense for isolated systems alone.
Polarizability  α = Σ_i α_i, orders 0 and 2.
Dielectric      the same for the Clausius-Mossotti polarizability a = 3V/4π (ε - 1)(ε + 2)⁻¹, which is nearly a sum
                over atoms, turned into ε = (1 + 2x)(1 - x)⁻¹ with x = 4πa/3V.
Born charges    Z_iab = ∂μ_a/∂r_ib by the reverse pass, or fitted atom by atom: orders 0, 2 and the axial vector.
                What the sum over atoms lacks to the total charge is spread evenly.
"""

from dataclasses import dataclass

import numpy as np

from ase_lode.features.equivariants import cartesian_tensor, cartesian_vector
from ase_lode.features.representation import TOLERANCE, Representation
from ase_lode.features.sources import Sources
from ase_lode.hypers import ModelConfig, read_config
from ase_lode.models.response_features import ResponseFeatures, by_species
from ase_lode.neighbors import NeighborList

#: Centres whose features are in memory together.
CHUNK = 2048


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


@dataclass
class Response:
    """A fitted response model.

    Attributes
    ----------
    model : ModelConfig
        Elements, density and fields, resolved.
    turn, mean, scalars : array
        See `ResponseFeatures`.
    groups : dict of str to list
        Products by order.
    weights : dict of (str, str) to array, shape (elements, 1 + scalars, features)
        By target and order.
    ranges : (array, array), each (elements, density channels)
        Smallest and largest coefficients at l = 0 in the training data.
    targets : dict
        What was fitted: key, unit, order, origin and number of labels of each, for the card.
    """

    model: ModelConfig
    turn: np.ndarray
    mean: np.ndarray
    scalars: np.ndarray
    groups: dict
    weights: dict
    ranges: tuple
    targets: dict

    def header(self):
        """What is kept as text."""
        return {"model": self.model.model_dump(mode="json"), "groups": {k: np.asarray(v).tolist() for k, v in
                                                                        self.groups.items()}, "targets": self.targets}

    def arrays(self):
        """What is kept as numbers."""
        fitted = {f"response_{target}_{order}": array for (target, order), array in self.weights.items()}
        return {"response_turn": self.turn, "response_mean": self.mean, "response_scalars": self.scalars,
                "response_lower": self.ranges[0], "response_upper": self.ranges[1], **fitted}

    @classmethod
    def read(cls, header, arrays):
        """The model of a potential file.

        Raises
        ------
        KeyError, ValueError
            It is inconsistent in itself.
        """
        model = read_config(ModelConfig, header["model"])
        targets = dict(header["targets"])
        weights = {(target, order): arrays[f"response_{target}_{order}"]
                   for target, entry in targets.items() for order in entry["order"]}
        result = cls(model, arrays["response_turn"], arrays["response_mean"], arrays["response_scalars"],
                     {name: np.array(table, dtype=np.int64) for name, table in header["groups"].items()}, weights,
                     (arrays["response_lower"], arrays["response_upper"]), targets)
        result._check()
        return result

    def _check(self):
        layout = Representation(self.model).layout
        n, n_scalars = len(self.model.elements), self.scalars.shape[-1]
        shapes = {"turn": (n, layout.max_angular + 1, layout.width, self.turn.shape[-1]),
                  "mean": (n, 8 * len(self.groups["0"])), "scalars": (n, 8 * len(self.groups["0"]), n_scalars)}
        wrong = [name for name, shape in shapes.items() if getattr(self, name).shape != shape]
        wrong += [f"weights of {target}" for (target, order), array in self.weights.items()
                  if array.shape != (n, 1 + n_scalars, 8 * len(self.groups[order]))]
        wrong += ["ranges"] if any(r.shape != (n, len(layout.scales[0].channels)) for r in self.ranges) else []
        for table in self.groups.values():
            inside = table.ndim == 2 and table.shape[1] == 4 and (table >= 0).all()
            if not inside or table[:, [0, 2]].max() > layout.max_angular or table[:, 1].max() >= self.turn.shape[-1] \
                    or table[:, 3].max() > self.turn.shape[-1] - 8:
                wrong.append("groups")
        if wrong or self.turn.shape[-1] % 8:
            raise ValueError(f"the response model's {', '.join(wrong or ['turn'])} do not fit")

    @property
    def gives(self):
        """Names of the targets, and the Born charges where the dipole gives them."""
        names = list(self.targets)
        if "dipole" in names and "born_effective_charges" not in names:
            names.append("born_effective_charges")
        return names


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
        self.representation = Representation(response.model, tolerance)
        self.features = ResponseFeatures(response.turn, response.groups, response.mean, response.scalars)

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
        environments = self.representation.compute(system, neighbors, n_threads)
        species, targets = environments.species, self.response.targets
        has_dipole = "dipole" in targets and self._dipole_defined(system)
        fitted_born = "born_effective_charges" in targets
        wanted = [key for key in self.response.weights if (key[0] != "dipole" or has_dipole) and
                  (key[0] != "born_effective_charges" or born) and
                  (key[0] != "dielectric_tensor" or system.pbc.all())]
        atomic, d_coefficients = self._atomic(environments, wanted, born and has_dipole and not fitted_born, n_threads)
        dipole = self._dipole(system, species, atomic) if has_dipole else None
        charges = None
        if fitted_born and born:
            charges = _tensor(atomic, "born_effective_charges")
        elif has_dipole and born:
            charges = self._derivative(environments, atomic, d_coefficients, n_threads)
        if charges is not None:
            charges = charges + (system.charge * np.eye(3) - charges.sum(axis=0)) / len(system)
        polarizability = _tensor(atomic, "polarizability").sum(axis=0) if "polarizability" in targets else None
        dielectric = None
        if "dielectric_tensor" in targets and system.pbc.all():
            dielectric = dielectric_tensor(_tensor(atomic, "dielectric_tensor").sum(axis=0), system.measure)
            if "polarizability" not in targets or targets["polarizability"]["systems"] == "isolated":
                polarizability = (dielectric - np.eye(3)) * system.measure / (4 * np.pi)
        distances = environments.pairs.distances
        return ResponseValues(dipole, charges, polarizability, dielectric, self._extrapolation(environments),
                              float(distances.min()) if len(distances) else np.inf)

    def _dipole_defined(self, system):
        """Isolated, or neutral with fixed charges: then changes along continuous positions are defined."""
        return not system.pbc.any() or ("0" not in self.response.targets["dipole"]["order"] and system.charge == 0)

    def field_charges(self, system, species):
        """Charges that source the fields, shifted evenly to the total charge; that charge spread evenly without."""
        for field in self.representation.fields:
            if field.config.sources == "charges":
                return Sources.of(field.config, self.representation.elements, system, species).strengths[:, 0]
        return np.full(len(system), system.charge / len(system))

    def _dipole(self, system, species, atomic):
        dipole = self.field_charges(system, species) @ system.positions
        if ("dipole", "1") in atomic:
            dipole = dipole + cartesian_vector(atomic["dipole", "1"].sum(axis=0))
        if ("dipole", "0") in atomic:
            dipole = dipole + atomic["dipole", "0"][:, 0] @ _centred(system)
        return dipole

    def _derivative(self, environments, atomic, d_coefficients, n_threads):
        """∂μ_a/∂r_ib."""
        system = environments.system
        charges = self.field_charges(system, environments.species)
        if ("dipole", "0") in atomic:
            charges = charges + atomic["dipole", "0"][:, 0] - atomic["dipole", "0"].mean()
        result = charges[:, None, None] * np.eye(3)
        for a in range(3):
            result[:, a] += self.representation.pull_back(environments, d_coefficients[a], n_threads)[0]
        return result

    def _atomic(self, environments, wanted, derivative, n_threads):
        """Contributions of every atom by target and order, and dμ_a/d(coefficients) for a = x, y, z."""
        n, species = len(environments.system), environments.species
        atomic = {key: np.empty((n, self.features.equivariants[key[1]].order.size)) for key in wanted}
        slopes = [np.empty(environments.coefficients.shape) for _ in range(3 * derivative)]
        arms = _centred(environments.system)
        for start in range(0, n, CHUNK):
            part = slice(start, min(start + CHUNK, n))
            chunk = _Chunk(self.features, self.response.weights, environments.coefficients[part], species[part],
                           n_threads)
            for target, order in wanted:
                atomic[target, order][part] = chunk.read(target, order)
            for a, slope in enumerate(slopes):
                slope[part] = chunk.pull_back({order: _direction(order, a, arms[part]) for target, order in wanted
                                               if target == "dipole"})
        return atomic, slopes

    def _extrapolation(self, environments):
        low, high = (bound[environments.species] for bound in self.response.ranges)
        scalars = environments.coefficients[:, 0, self.representation.layout.scales[0].channels]
        excess = np.maximum(np.maximum(low - scalars, scalars - high), 0.0).max(axis=1)
        return float((excess / np.maximum((high - low).max(axis=1), 1e-12)).max())


class _Chunk:
    """Features of some centres, each order computed once."""

    def __init__(self, features, weights, coefficients, species, n_threads):
        self.features, self.weights, self.species, self.n_threads = features, weights, species, n_threads
        self.channels = features.channels(coefficients, species)
        self.gates = features.gates(self.channels, species, n_threads)
        self._known = {}

    def _equivariants(self, order):
        if order not in self._known:
            self._known[order] = self.features.equivariants[order].compute(self.channels, self.n_threads)
        return self._known[order]

    def read(self, target, order):
        """Σ_ab W_ab I_a E_b, shape (atoms, components)."""
        mixed = by_species(self.gates, self.weights[target, order], self.species)
        return np.matmul(self._equivariants(order), mixed[:, :, None])[:, :, 0]

    def pull_back(self, directions):
        """d/d(coefficients) of the dipole's orders times `directions`, (atoms, components) by order."""
        d_channels = np.zeros_like(self.channels)
        d_gates = np.zeros_like(self.gates)
        for order, direction in directions.items():
            weights = self.weights["dipole", order]
            mixed = by_species(self.gates, weights, self.species)
            d_features = direction[:, :, None] * mixed[:, None]
            self.features.equivariants[order].pull_back(self.channels, d_features, d_channels, self.n_threads)
            d_mixed = np.matmul(direction[:, None], self._equivariants(order))[:, 0]
            d_gates += by_species(d_mixed, weights.transpose(0, 2, 1), self.species)
        self.features.pull_back_gates(self.channels, self.species, d_gates, d_channels, self.n_threads)
        return self.features.pull_back_channels(d_channels, self.species)


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
