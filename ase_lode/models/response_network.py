"""The network of a response: its parameters and, ready to run, the tensors of the atoms and their derivatives."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ase_lode.hypers import ModelConfig, read_config
from ase_lode.models.response_model import Response, Tensors
from ase_lode.models.tensor_network import TensorNetwork


@dataclass
class NetworkResponse(Response):
    """A fitted response model whose tensors a network reads off its channels; see `Response` for the rest.

    Attributes
    ----------
    weights : array
        All parameters in one row.
    """

    weights: np.ndarray

    def arrays(self):
        """What is kept as numbers."""
        return {**super().arrays(), "response_weights": self.weights}

    def tensors(self, tolerance):
        """The model ready to run."""
        return NetworkTensors(self, tolerance)

    @classmethod
    def read(cls, header, arrays):
        """The model of a potential file.

        Raises
        ------
        KeyError, ValueError
            It is inconsistent in itself.
        """
        result = cls(read_config(ModelConfig, header["model"]), (arrays["response_lower"], arrays["response_upper"]),
                     dict(header["targets"]), arrays["response_weights"])
        network = result.tensors(1e-3).representation
        n, wanted = len(network.elements), (network.n_parameters,)
        if result.weights.shape != wanted:
            raise ValueError(f"the response's weights have the shape {result.weights.shape}, not {wanted}")
        if any(bound.shape != (n, n * network.density.lanes) for bound in result.ranges):
            raise ValueError("the response model's ranges do not fit")
        return result


class NetworkTensors:
    """A network of responses ready to run, with tables and meshes; not shared between threads.

    Parameters
    ----------
    response : NetworkResponse
    tolerance : float
        Relative error of the fields and their first derivatives.
    """

    def __init__(self, response, tolerance):
        self._weights = response.weights
        orders = {name: entry["order"] for name, entry in response.targets.items()}
        self.representation = TensorNetwork(response.model, tolerance, orders)

    @cached_property
    def _parameters(self):
        return self.representation.prepared(self.representation.unpack(self._weights))

    @staticmethod
    def fixed_charges(system, _):
        """The total charge spread evenly."""
        return np.full(len(system), system.charge / len(system))

    def compute(self, system, neighbors, wanted, directions, n_threads=1):
        """See `RidgeTensors.compute`."""
        network = self.representation
        graph = network.graph(system, neighbors, n_threads)
        tensors, state = network.compute(self._parameters, graph, wanted, n_threads)
        gradients = [network.pull_back(self._parameters, state, direction, n_threads=n_threads)[0]
                     for direction in directions]
        return Tensors(graph.species, tensors, gradients, state[0].own[:, 0], graph.pairs.distances)
