"""One pass of a network: sources contracted to channels, invariants of the channels, a perceptron; with its adjoint."""

from dataclasses import dataclass

import numpy as np

from ase_lode import memory
from ase_lode.models.layers import Rows, transposed


@dataclass(frozen=True)
class Centres:
    """Some atoms whose environments are evaluated together.

    Attributes
    ----------
    species : array of int, shape (centres,)
    atoms, orders : Rows
        One row per centre by element, and one per centre and lm by element and l.
    """

    species: np.ndarray
    atoms: Rows
    orders: Rows

    @classmethod
    def of(cls, species, l_max):
        """Rows of centres with expansions up to l_max."""
        l_of = np.repeat(np.arange(l_max + 1), 2 * np.arange(l_max + 1) + 1)
        n = len(species)
        return cls(species, Rows.of(np.arange(n), species),
                   Rows.of(np.arange(n * len(l_of)), (species[:, None] * (l_max + 1) + l_of).ravel()))


class Pass:
    """Outputs of every centre: perceptron(invariants(Σ sources · weights)).

    Parameters
    ----------
    name : str
        Under which its parameters are found.
    sources : dict of str to int
        Columns of each source.
    channels : int
    n_elements, l_max : int
    invariants : Invariants
    perceptron : Perceptron

    Attributes
    ----------
    shapes : dict of str to tuple
        Of all its parameters.
    """

    def __init__(self, name, sources, channels, n_elements, l_max, invariants, perceptron):
        self.name, self._sources, self.channels = name, list(sources), channels
        self._invariants, self._perceptron = invariants, perceptron
        self.n_inputs = invariants.count * channels
        self.shapes = {f"{name}.{source}": (n_elements * (l_max + 1), columns, channels)
                       for source, columns in sources.items()}
        self.shapes |= {f"{name}.{part}": shape for part, shape in perceptron.shapes(n_elements).items()}
        self.shapes[f"{name}.mean"] = self.shapes[f"{name}.scale"] = (n_elements, self.n_inputs)

    def compute(self, parameters, centres, sources, n_threads=1):
        """Outputs, shape (centres, outputs), and what `pull_back` needs, from sources (centres, lm, columns) or None.
        """
        rows, channels = centres.orders, None
        for source, values in zip(self._sources, sources):
            weights = parameters[f"{self.name}.{source}"]
            if channels is None:
                channels = rows.multiply(_flat(values), weights, n_threads)
            else:
                rows.add_product(_flat(values), weights, channels, n_threads)
        channels = channels.reshape(len(centres.species), -1, self.channels)
        inputs = self.inputs(channels, n_threads)
        if f"{self.name}.mean" in parameters:
            inputs -= parameters[f"{self.name}.mean"][centres.species]
            inputs *= parameters[f"{self.name}.scale"][centres.species]
        outputs, state = self._perceptron.compute(_Named(parameters, self.name), centres, inputs, n_threads)
        return outputs, (sources, channels, state)

    def inputs(self, channels, n_threads=1):
        """Invariants in one row per centre, not yet standardised."""
        return self._invariants.compute(channels, n_threads).reshape(len(channels), -1)

    def pull_back(self, parameters, centres, state, d_outputs, d_parameters=None, needed=None, n_threads=1,
                  d_channels=None):
        """dE/d(sources), None where not `needed` (a sequence of bool), given dE/d(outputs).

        Adds dE/d(parameters) unless that is None. `d_channels` is what dE/d(channels) has besides.
        """
        sources, channels, inner = state
        named = None if d_parameters is None else _Named(d_parameters, self.name)
        d_inputs = self._perceptron.pull_back(_Named(parameters, self.name), centres, inner, d_outputs, named,
                                              n_threads)
        if f"{self.name}.mean" in parameters:
            d_inputs *= parameters[f"{self.name}.scale"][centres.species]
        d_inputs = d_inputs.reshape(len(channels), -1, self.channels)
        further, d_channels = d_channels, self._invariants.pull_back(channels, d_inputs, n_threads)
        if further is not None:
            d_channels += further
        results = []
        for number, (source, values) in enumerate(zip(self._sources, sources)):
            if d_parameters is not None:
                centres.orders.add_outer(_flat(values), _flat(d_channels), d_parameters[f"{self.name}.{source}"])
            d_values = None
            if needed is None or needed[number]:
                weights = turned(parameters, f"{self.name}.{source}")
                d_values = centres.orders.multiply(_flat(d_channels), weights, n_threads)
                d_values = d_values.reshape(*channels.shape[:2], weights.shape[2])
            results.append(d_values)
        return results

    @staticmethod
    def lean(state):
        """The state without what only derivatives by parameters need."""
        sources, channels, inner = state
        return [None] * len(sources), channels, tuple((None, *layer[1:]) for layer in inner)

    def prepared(self, parameters):
        """Parameters for many evaluations: the standardisation inside the first layer, transposes beside the matrices.
        """
        result = {name: memory.copy(parameters[name]) for name in self.shapes}
        mean, scale = (result.pop(f"{self.name}.{part}") for part in ("mean", "scale"))
        last = f"{self.name}.bias{self._perceptron.depth - 1}"
        for matrix, bias in ((f"{self.name}.weights0", f"{self.name}.bias0"), (f"{self.name}.direct", last)):
            result[matrix] *= scale[:, :, None]
            result[bias] -= np.einsum("sf,sfh->sh", mean, result[matrix])
        for name in [name for name in result if result[name].ndim == 3]:
            result[TURNED + name] = transposed(result[name])
        return result

    @staticmethod
    def linear(state):
        """What the energy is linear in: the last hidden units, then the inputs, shape (centres, hidden + inputs).

        Inputs are standardised unless the parameters were prepared.
        """
        layers = state[2]
        return np.concatenate([layers[-1][0], layers[0][0]], axis=1)


#: Marks the transpose of a matrix among prepared parameters.
TURNED = "transposed "


def turned(parameters, name):
    """The transpose of a matrix by class, prepared or made."""
    found = parameters.get(TURNED + name)
    return transposed(parameters[name]) if found is None else found


class _Named:
    """The parameters of one pass under their short names."""

    def __init__(self, parameters, prefix):
        self._parameters, self._prefix = parameters, prefix

    def __getitem__(self, name):
        return self._parameters[f"{self._prefix}.{name}"]

    def turned(self, name):
        """The transpose of a matrix by class."""
        return turned(self._parameters, f"{self._prefix}.{name}")


def _flat(array):
    """Rows (centres x lm, columns) of an array (centres, lm, columns)."""
    return array.reshape(array.shape[0] * array.shape[1], array.shape[2])  # which may be no columns at all
