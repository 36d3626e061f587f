"""Two passes of densities and fields, whose strengths every atom learns from its surroundings."""

from dataclasses import dataclass

import numpy as np

from ase_lode import memory
from ase_lode._loops.pairs import add_pair_gradient
from ase_lode.features.density import DensityExpansion
from ase_lode.features.learned import LearnedField
from ase_lode.models.layers import Invariants, Perceptron
from ase_lode.models.passes import Centres, Pass
from ase_lode.neighbors import PairList
from ase_lode.radial import LANES


def padded(count):
    """The smallest multiple of 8 that holds `count`."""
    return -(-count // LANES) * LANES


@dataclass(frozen=True)
class Part:
    """One structure of a graph.

    Attributes
    ----------
    system : System
    atoms, pairs : slice
        Its atoms and its pairs in the graph.
    neighbors : object
        ``neighbors.pairs(system, cutoff, n_threads)`` gives its own PairList.
    """

    system: object
    atoms: slice
    pairs: slice
    neighbors: object


@dataclass(frozen=True)
class Graph:
    """Any number of structures side by side, evaluated as one.

    Attributes
    ----------
    species : array of int, shape (atoms,)
        Index into the model's elements; atoms beyond the last part stand alone in the world.
    pairs : PairList
        All pairs inside the cutoff, none between structures.
    parts : list of Part
    """

    species: np.ndarray
    pairs: PairList
    parts: list


@dataclass(frozen=True)
class State:
    """What `TwoPasses.back` needs of `TwoPasses.through`."""

    graph: Graph
    centres: Centres
    own: np.ndarray
    strengths: np.ndarray
    fields: list
    first: tuple
    second: tuple


class TwoPasses:
    """Numbers of every atom from invariants of learned channels, in two passes.

    The first pass contracts the density of each environment to a few channels x_k,lm = Σ W^l_(an)k c_an,lm by centre
    element, forms invariants up to body order 4 and reads off strengths: some that carry a second density
    c_sn,lm = Σ_j q_js R_n Y_lm, one for each field. Channels of both densities and of the fields together give a second
    set of invariants. Further numbers are read off both passes. Strengths that source 1/r are shifted evenly to the
    total charge.

    Parameters
    ----------
    model : ModelConfig
        With `head.type: network`, all defaults resolved and elements listed.
    tolerance : float
        Relative error of the fields and their first derivatives.
    n_readouts : int
        Numbers read off each pass, after the strengths of the first.

    Attributes
    ----------
    shapes : dict of str to tuple
        Names and shapes of the parameters.
    cutoff : float
        Largest distance between atoms of a pair, in Å.
    coulomb : int or None
        Number of the first field of 1/r: its strengths are the charges that dipoles are made of.
    """

    def __init__(self, model, tolerance, n_readouts):
        head, self.n_readouts = model.head, n_readouts
        self.elements = list(model.elements)
        self.density = DensityExpansion(model.density)
        self.fields = [LearnedField(config, tolerance) for config in model.fields]
        self.coulomb = next((k for k, field in enumerate(self.fields) if field.config.exponent == 1), None)
        self.cutoff = max([self.density.cutoff] + [field.reach for field in self.fields])
        self._l_max, self._orders = model.density.max_angular, (model.density.max_angular + 1) ** 2
        self.orders = [slice(l * l, (l + 1) ** 2) for l in range(self._l_max + 1)]
        self.strengths, self.depth = head.strengths, len(head.hidden) + 1
        self._read = head.strengths + len(self.fields)
        invariants, n, lanes = Invariants(self._l_max, head.cubic_angular), len(self.elements), self.density.lanes
        self.channels, self.n_inputs = head.channels, invariants.count * head.channels
        second = {"density": n * lanes, "carried": head.strengths * lanes}
        if self.fields:
            second["fields"] = padded(len(self.fields))
        sizes = self.n_inputs, *head.hidden
        self.passes = [Pass(name, sources, head.channels, n, self._l_max, invariants, Perceptron([*sizes, outputs]))
                       for name, sources, outputs in (
                           ("first", {"density": n * lanes}, padded(self._read + n_readouts)),
                           ("second", second, padded(n_readouts)))]
        self.shapes = self.passes[0].shapes | self.passes[1].shapes

    def graph(self, system, neighbors, n_threads=1):
        """The graph of one structure."""
        pairs = neighbors.pairs(system, self.density.cutoff, n_threads)
        part = Part(system, slice(0, len(system)), slice(0, len(pairs.j)), neighbors)
        return Graph(system.species(self.elements), pairs, [part])

    def through(self, parameters, graph, n_threads):
        """There: outputs of the first and of the second pass, charges, and what `back` needs.

        Parameters
        ----------
        parameters : dict of arrays
            With `shapes`.
        graph : Graph
        n_threads : int

        Returns
        -------
        outputs, more : arrays, shape (atoms, outputs)
            What is read off begins after the strengths in the first, at once in the second.
        charges : array, shape (atoms, fields)
            The strengths that source the fields, after the shift.
        state : State
        """
        centres, own = Centres.of(graph.species, self._l_max), self.own(graph.pairs, graph.species, n_threads)
        outputs, first = self.passes[0].compute(parameters, centres, [own], n_threads)
        strengths = np.ascontiguousarray(outputs[:, :self.strengths])
        carried = self._carried(graph.pairs, strengths, n_threads)
        charges = self._shifted(graph, outputs[:, self.strengths:self._read])
        far, fields = self._compute_fields(graph, charges, n_threads)
        more, second = self.passes[1].compute(parameters, centres, [own, carried, far][:2 + bool(self.fields)],
                                              n_threads)
        return outputs, more, charges, State(graph, centres, own, strengths, fields, first, second)

    def own(self, pairs, species, n_threads=1):
        """Density coefficients c_an,lm of the centres of some pairs, shape (centres, lm, columns)."""
        out = memory.zeros((len(pairs.first) - 1, self._orders, len(self.elements) * self.density.lanes))
        self.density.add(pairs, species, out, n_threads)
        return out

    def _carried(self, pairs, strengths, n_threads=1):
        """Coefficients of the density that the strengths carry, shape (centres, lm, columns)."""
        out = memory.zeros((len(pairs.first) - 1, self._orders, self.strengths * self.density.lanes))
        self.density.add_carried(pairs, strengths, out, n_threads)
        return out

    def sources(self, parameters, graph):
        """What the channels of each pass are made of, (atoms, lm, columns) by the name of the weights."""
        state = self.through(parameters, graph, 1)[3]
        return tuple(dict(zip(self.passes[k].shapes, inner[0])) for k, inner in enumerate((state.first, state.second)))

    def inputs(self, parameters, graph):
        """Invariants of each pass, (atoms, inputs)."""
        state = self.through(parameters, graph, 1)[3]
        return [self.passes[k].inputs(inner[1]) for k, inner in enumerate((state.first, state.second))]

    def back(self, parameters, state, d_read, d_channels, d_charges, d_parameters, need_gradient, n_threads):
        """And back: derivatives of a number, given those by what was read off and, besides, by channels and charges.

        Parameters
        ----------
        parameters, state
            As of `through`.
        d_read : (array, array)
            By what is read off each pass; that of the second as wide as its outputs.
        d_channels : (array, array), each (atoms, lm, channels) or None
        d_charges : array, shape (atoms, fields), or None
        d_parameters : dict of arrays or None
            To be added to.
        need_gradient : bool
        n_threads : int

        Returns
        -------
        gradient : array, shape (atoms, 3), or None
        virials : array, shape (parts, 3, 3), or None
        """
        graph, centres, pairs = state.graph, state.centres, state.graph.pairs
        gradient, virials = np.zeros((len(graph.species), 3)), np.zeros((len(graph.parts), 3, 3))
        pair_gradient = np.zeros((len(pairs.j), 3)) if need_gradient else None
        d_own, d_carried, *d_far = self.passes[1].pull_back(parameters, centres, state.second, d_read[1], d_parameters,
                                                            [need_gradient, True, True], n_threads, d_channels[1])
        d_charges_all = self._pull_fields(graph, state.fields, d_far, gradient, virials, n_threads)
        if d_charges is not None:
            d_charges_all += d_charges
        d_strengths = self.density.pull_back_carried(pairs, state.strengths, d_carried, pair_gradient, n_threads)
        d_first = self._d_outputs(graph, d_strengths, d_charges_all, d_read[0])
        more, = self.passes[0].pull_back(parameters, centres, state.first, d_first, d_parameters, [need_gradient],
                                         n_threads, d_channels[0])
        if not need_gradient:
            return None, None
        d_own += more
        self.density.pull_back(pairs, graph.species, d_own, pair_gradient, n_threads)
        self._collect(graph, pair_gradient, gradient, virials)
        return gradient, virials

    def prepared(self, parameters):
        """Parameters in the form that makes many evaluations fast."""
        return self.passes[0].prepared(parameters) | self.passes[1].prepared(parameters)

    def _d_outputs(self, graph, d_strengths, d_charges, d_read):
        """dE/d(outputs) of the first pass."""
        result = np.zeros((len(graph.species), padded(self._read + self.n_readouts)))
        result[:, :self.strengths] = d_strengths
        result[:, self.strengths:self._read] = self._pull_shift(graph, d_charges)
        result[:, self._read:self._read + self.n_readouts] = d_read
        return result

    @staticmethod
    def _collect(graph, pair_gradient, gradient, virials):
        pairs = graph.pairs
        for part, virial in zip(graph.parts, virials):
            add_pair_gradient(part.pairs.start, part.pairs.stop, pairs.i, pairs.j, pairs.vectors, pair_gradient,
                              gradient, virial)

    def _shifted(self, graph, charges):
        """Strengths of the fields; those of 1/r shifted evenly to the total charge of their structure."""
        result = charges.copy()
        for part in graph.parts:
            for number, field in enumerate(self.fields):
                if field.config.exponent == 1:
                    here = result[part.atoms, number]
                    here += (part.system.charge - here.sum()) / len(here)
        return result

    def _pull_shift(self, graph, d_charges):
        result = d_charges.copy()
        for part in graph.parts:
            for number, field in enumerate(self.fields):
                if field.config.exponent == 1:
                    result[part.atoms, number] -= d_charges[part.atoms, number].mean()
        return result

    def _compute_fields(self, graph, charges, n_threads):
        if not self.fields:
            return None, None
        far = memory.zeros((len(charges), self._orders, padded(len(self.fields))))
        states = []
        for part in graph.parts:
            for number, field in enumerate(self.fields):
                values, state = field.compute(part.system, charges[part.atoms, number], part.neighbors, n_threads)
                far[part.atoms, :values.shape[1], number] = values
                states.append(state)
        return far, states

    def _pull_fields(self, graph, states, d_far, gradient, virials, n_threads):
        """dE/d(charges), given dE/dV in a list that is empty without fields; adds to gradient and virials."""
        d_charges = np.zeros((len(graph.species), len(self.fields)))
        if not self.fields:
            return d_charges
        d_far, states = d_far[0], iter(states)
        for part, virial in zip(graph.parts, virials):
            for number, field in enumerate(self.fields):
                d_values = np.ascontiguousarray(d_far[part.atoms, :(field.config.max_angular + 1) ** 2, number])
                d_charges[part.atoms, number] = field.pull_back(part.system, next(states), d_values,
                                                                gradient[part.atoms], virial, n_threads)
        return d_charges

    @property
    def n_parameters(self):
        """Number of parameters."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def unpack(self, flat):
        """Views of all parameters in one row, by name."""
        ends = np.cumsum([0] + [int(np.prod(shape)) for shape in self.shapes.values()])
        return {name: flat[a:b].reshape(shape)
                for (name, shape), a, b in zip(self.shapes.items(), ends, ends[1:])}
