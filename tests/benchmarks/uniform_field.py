"""Polarizabilities by a network in a uniform field: α = -∂²E/∂F² of an energy that sees F in both of its passes.

The field enters as one more source of the density coefficients of every atom, with l = 1 alone: tensors turn with the
molecules, and strengths carry the answer of each atom to the others.
"""

import numpy as np

from ase_lode.hypers import ModelConfig, read_config
from ase_lode.models.network import Network
from ase_lode.models.passes import Pass
from ase_lode.radial import LANES
from ase_lode.system import System
from ase_lode.training.dataset import Structure
from ase_lode.training.network import Sample, initial, join
from ase_lode.training.optimise import Optimiser
from ase_lode.training.progress import Progress

#: Wide enough for both molecules of nearly all dimers.
MODEL = {"elements": ["H", "O"], "density": {"cutoff": 5.5, "max_radial": 8, "max_angular": 4},
         "head": {"type": "network", "steps": 6000, "batch_atoms": 48}}
#: Field of the differences, in units in which α is in Å³: 1e-3 loses 10 of 16 digits, and none of the model's four.
STEP = 1e-3
#: Six axes whose αs make a symmetric tensor, and its components by them.
AXES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
AXES = AXES / np.linalg.norm(AXES, axis=1, keepdims=True)
FIELDS = STEP * np.concatenate([np.zeros((1, 3)), AXES, -AXES])
TO_TENSOR = np.linalg.pinv(np.einsum("ka,kb->kab", AXES, AXES).reshape(6, 9))
#: Second derivatives by the energies in all fields.
SECOND = np.hstack([np.full((6, 1), 2.0), -np.eye(6), -np.eye(6)]) / STEP**2


class FieldNetwork(Network):
    """A network whose atoms are in the fields `field`, shape (atoms, 3) or (1, 3)."""

    def __init__(self, model):
        super().__init__(model, 1e-5)
        columns = (len(self.elements) + 1) * self.density.lanes
        self.passes = [Pass(one.name, {"density": columns, **sources}, self.channels, len(self.elements), self._l_max,
                            one._invariants, one._perceptron)
                       for one, sources in zip(self.passes, ({}, {"carried": self.strengths * self.density.lanes}))]
        self.shapes = self.passes[0].shapes | self.passes[1].shapes

    def own(self, pairs, species, n_threads=1):
        """Coefficients of the density, then those of the field."""
        density = super().own(pairs, species, n_threads)
        field = np.zeros((*density.shape[:2], LANES))
        field[:, 1:4, 0] = self.field[:, [1, 2, 0]]
        return np.concatenate([density, field], axis=2)

    def energies(self, parameters, samples, fields):
        """Of every sample in every field, (samples, fields), and what the derivatives need."""
        graph = join([sample for sample in samples for _ in fields], [(None, None)] * (len(samples) * len(fields)), 2)
        self.field = np.concatenate([np.repeat(fields, len(sample), axis=0) for sample in samples] + [np.zeros((2, 3))])
        energies, _, state = self.compute(parameters, graph)
        return np.array([energies[part.atoms].sum() for part in graph.parts]).reshape(len(samples), -1), state


class Loss:
    """Squared errors of the αs along the axes, in units of the spread."""

    def __init__(self, network, size):
        self._network, self._size, self.spreads = network, size, {}

    def gradient(self, row, samples, _):
        network, result = self._network, np.zeros_like(row)
        energies, state = network.energies(network.unpack(row), samples, FIELDS)
        errors = (energies @ SECOND.T - [sample.alphas for sample in samples]) / self._size
        d_energies = np.zeros(len(state.graph.species))
        for part, seed in zip(state.graph.parts, (2 / self._size * errors @ SECOND).ravel()):
            d_energies[part.atoms] = seed
        network.pull_back(network.unpack(row), state, d_energies, d_parameters=network.unpack(result),
                          need_gradient=False)
        return np.sum(errors**2), result


class Steps(Optimiser):
    """Without validation: the last average is taken."""

    def _validate(self, run, _):
        run.best = run.average.copy()


def sample(atoms, network):
    """A structure with α along the axes."""
    result = Sample(Structure(System.from_atoms(atoms)), network, None)
    result.alphas = np.einsum("ka,ab,kb->k", AXES, atoms.info["alpha"], AXES)
    return result


def start(network, samples, seed=0):
    """As other networks start; the field's channels, whose spread the fields would decide, are of unit size."""
    network.field = np.zeros((1, 3))
    row, sizes = initial(network, samples, seed)
    rng = np.random.default_rng([seed, 7])
    for name in ("first.density", "second.density"):
        weights, size = (network.unpack(flat)[name].reshape(2, -1, *network.shapes[name][1:])[:, 1, -LANES]
                         for flat in (row, sizes))
        size[:] = 1.0
        weights[:] = rng.standard_normal(size.shape)
    return row, sizes


def train(images, size):
    """Network and weights fitted to the polarizabilities of some structures, given their spread."""
    model = read_config(ModelConfig, MODEL).resolved()
    network = FieldNetwork(model)
    samples = [sample(atoms, network) for atoms in images]
    row, sizes = start(network, samples)
    optimiser = Steps(network, model.head, Loss(network, size), samples, [], sizes, 0, Progress(quiet=True), 1, False)
    return network, optimiser.run(row)[0]


def predict(network, row, images):
    """Tensors in Å³, (images, 3, 3)."""
    result = [network.energies(network.unpack(row), [sample(atoms, network)], FIELDS)[0] @ SECOND.T for atoms in images]
    return (np.concatenate(result) @ TO_TENSOR.T).reshape(-1, 3, 3)
