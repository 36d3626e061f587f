"""Response models with random weights for the structures of `synthetic`, to test every contract of a response."""

from functools import lru_cache

import numpy as np
from synthetic import CHARGES, ELEMENTS, FIELDS, bulk, molecule, slab

from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig
from ase_lode.models.baseline import Baseline
from ase_lode.models.potential import Potential
from ase_lode.models.response_features import ResponseFeatures
from ase_lode.models.response_network import NetworkResponse
from ase_lode.models.response_ridge import RidgeResponse
from ase_lode.models.tensor_network import TensorNetwork
from ase_lode.system import System
from ase_lode.training.dataset import Structure
from ase_lode.training.network import Sample, density_ranges, initial
from ase_lode.training.response_channels import choose_channels, choose_groups, choose_scalars

#: Targets by the kind of potential.
TARGETS = {
    "molecule": {"dipole": ["0", "1"], "polarizability": ["0", "2"]},
    "liquid": {"dipole": ["1"], "dielectric_tensor": ["0", "2"]},
    "solid": {"polarizability": ["0", "2"], "born_effective_charges": ["0", "axial", "2"]},
}


@lru_cache
def response(kind="molecule", fields="charges", seed=0):
    """A response model whose tensors are of the order of one.

    Parameters
    ----------
    kind : str
        A key of `TARGETS`.
    fields : str
        A key of `synthetic.FIELDS`; "network" makes a network.
    seed : int
        Of the weights.
    """
    if fields == "network":
        return network_response(kind, seed)
    model = ModelConfig.model_validate({
        "elements": ELEMENTS, "density": {"cutoff": 3.5, "max_radial": 3, "max_angular": 2}, "charges": CHARGES,
        "fields": FIELDS[fields]}).resolved()
    representation, n = Representation(model), len(ELEMENTS)
    environments = [representation.compute(System.from_atoms(make(seed=k))) for k in range(1, 5)
                    for make in (molecule, bulk)]
    turn, first = choose_channels(environments, representation.layout, n, 8)
    plain = ResponseFeatures(turn, {})
    channels = [(e.species, plain.channels(e.coefficients, e.species)) for e in environments]
    sample = np.concatenate([c for _, c in channels])
    orders = sorted({"0"}.union(*TARGETS[kind].values()))
    groups = {order: choose_groups(sample, order, 16, 96 * len(model.fields), first) for order in orders}
    features = ResponseFeatures(turn, groups)
    mean, scalars = choose_scalars(((s, features.equivariants["0"].compute(c)[:, 0]) for s, c in channels), n, 3)
    rng = np.random.default_rng(seed)
    weights = {(target, order): 0.3 * rng.normal(size=(n, 4, 8 * len(groups[order])))
               for target, orders in TARGETS[kind].items() for order in orders}
    density = representation.layout.scales[0].channels
    values = np.concatenate([e.coefficients[:, 0, density] for e in environments])
    bounds = values.min(axis=0) * np.ones((n, 1)), values.max(axis=0) * np.ones((n, 1))
    return RidgeResponse(model, bounds, cards(kind), turn, mean, scalars, groups, weights)


def network_response(kind, seed):
    """The same by a network, its last layers large enough to matter."""
    model = ModelConfig.model_validate({
        "elements": ELEMENTS, "density": {"cutoff": 3.5, "max_radial": 3, "max_angular": 2},
        "fields": FIELDS["network"],
        "head": {"type": "network", "channels": 16, "strengths": 3, "hidden": [16, 8], "cubic_angular": 2}}).resolved()
    network = TensorNetwork(model, 1e-5, TARGETS[kind])
    samples = [Sample(Structure(System.from_atoms(make(seed=number))), network, None)
               for number in range(1, 9) for make in (molecule, bulk, slab)]
    weights, sizes = initial(network, samples, seed)
    weights += 0.1 * sizes * np.random.default_rng(seed).normal(size=weights.shape)
    return NetworkResponse(model, density_ranges(network, samples), cards(kind), weights[:network.n_parameters])


def cards(kind):
    """Targets as a response model keeps them."""
    return {name: {"order": orders, "key": name, "unit": "", "origin": "", "systems": "all", "structures": 8}
            for name, orders in TARGETS[kind].items()}


def alone(kind="molecule", fields="charges"):
    """A potential that gives its response alone."""
    model = response(kind, fields)
    return Potential(model.model, None, Baseline(tuple(ELEMENTS), np.zeros(len(ELEMENTS))),
                     {"name": f"synthetic {kind}", "level_of_theory": "none", "licence": "none"}, response=model)
