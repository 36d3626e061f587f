"""The ridge of a response: atomic tensors linear in products of scalars with equivariants, and their derivatives."""

from dataclasses import dataclass

import numpy as np

from ase_lode.features.representation import Representation
from ase_lode.features.sources import Sources
from ase_lode.hypers import ModelConfig, read_config
from ase_lode.models.response_features import ResponseFeatures, by_species
from ase_lode.models.response_model import Response, Tensors

#: Centres whose features are in memory together.
CHUNK = 2048


@dataclass
class RidgeResponse(Response):
    """A fitted response model, linear in products of scalars with equivariants; see `Response` for the rest.

    Attributes
    ----------
    turn, mean, scalars : array
        See `ResponseFeatures`.
    groups : dict of str to list
        Products by order.
    weights : dict of (str, str) to array, shape (elements, 1 + scalars, features)
        By target and order.
    """

    turn: np.ndarray
    mean: np.ndarray
    scalars: np.ndarray
    groups: dict
    weights: dict

    def header(self):
        """What is kept as text."""
        return {**super().header(), "groups": {name: np.asarray(table).tolist() for name, table in self.groups.items()}}

    def arrays(self):
        """What is kept as numbers."""
        fitted = {f"response_{target}_{order}": array for (target, order), array in self.weights.items()}
        return {**super().arrays(), "response_turn": self.turn, "response_mean": self.mean,
                "response_scalars": self.scalars, **fitted}

    def tensors(self, tolerance):
        """The model ready to run."""
        return RidgeTensors(self, tolerance)

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
        groups = {name: np.array(table, dtype=np.int64) for name, table in header["groups"].items()}
        result = cls(model, (arrays["response_lower"], arrays["response_upper"]), targets, arrays["response_turn"],
                     arrays["response_mean"], arrays["response_scalars"], groups, weights)
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


class RidgeTensors:
    """A ridge of responses ready to run, with tables and meshes; not shared between threads.

    Parameters
    ----------
    response : RidgeResponse
    tolerance : float
        Relative error of the fields and their first derivatives.
    """

    def __init__(self, response, tolerance):
        self._weights = response.weights
        self.representation = Representation(response.model, tolerance)
        self.features = ResponseFeatures(response.turn, response.groups, response.mean, response.scalars)

    def fixed_charges(self, system, species):
        """Charges that source the fields, shifted evenly to the total charge; that charge spread evenly without."""
        for field in self.representation.fields:
            if field.config.sources == "charges":
                return Sources.of(field.config, self.representation.elements, system, species).strengths[:, 0]
        return np.full(len(system), system.charge / len(system))

    def compute(self, system, neighbors, wanted, directions, n_threads=1):
        """Tensors of the atoms, and derivatives of some of their sums.

        Parameters
        ----------
        system : System
        neighbors : NeighborList
        wanted : list of (str, str)
            Targets and orders.
        directions : list of dict of (str, str) to array, shape (atoms, 2λ + 1)
            By what the tensors are multiplied in each sum.
        n_threads : int

        Returns
        -------
        Tensors
        """
        environments = self.representation.compute(system, neighbors, n_threads)
        n, species = len(system), environments.species
        atomic = {key: np.empty((n, self.features.equivariants[key[1]].order.size)) for key in wanted}
        slopes = [np.empty(environments.coefficients.shape) for _ in directions]
        for start in range(0, n, CHUNK):
            part = slice(start, min(start + CHUNK, n))
            chunk = _Chunk(self.features, self._weights, environments.coefficients[part], species[part], n_threads)
            for key in wanted:
                atomic[key][part] = chunk.read(*key)
            for slope, direction in zip(slopes, directions):
                slope[part] = chunk.pull_back({key: values[part] for key, values in direction.items()})
        gradients = [self.representation.pull_back(environments, slope, n_threads)[0] for slope in slopes]
        density = self.representation.layout.scales[0].channels
        return Tensors(species, atomic, gradients, environments.coefficients[:, 0, density],
                       environments.pairs.distances)


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
        """d/d(coefficients) of tensors times `directions`, (atoms, components) by target and order."""
        d_channels = np.zeros_like(self.channels)
        d_gates = np.zeros_like(self.gates)
        for (target, order), direction in directions.items():
            weights = self.weights[target, order]
            mixed = by_species(self.gates, weights, self.species)
            d_features = direction[:, :, None] * mixed[:, None]
            self.features.equivariants[order].pull_back(self.channels, d_features, d_channels, self.n_threads)
            d_mixed = np.matmul(direction[:, None], self._equivariants(order))[:, 0]
            d_gates += by_species(d_mixed, weights.transpose(0, 2, 1), self.species)
        self.features.pull_back_gates(self.channels, self.species, d_gates, d_channels, self.n_threads)
        return self.features.pull_back_channels(d_channels, self.species)


