"""The network head: two passes of densities and fields, whose strengths every atom learns from its surroundings."""

from dataclasses import dataclass, replace

import numpy as np

from ase_lode import memory
from ase_lode._loops.pairs import add_pair_gradient
from ase_lode.features.density import DensityExpansion
from ase_lode.features.learned import LearnedField
from ase_lode.models.layers import Invariants, Perceptron
from ase_lode.models.passes import TURNED, Centres, Pass
from ase_lode.neighbors import PairList
from ase_lode.parallel import run
from ase_lode.radial import LANES

#: Centres evaluated together: their expansions stay in the cache, and what each call costs is shared.
CHUNK = 128


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
    """What `Network.pull_back` needs of `Network.compute`."""

    graph: Graph
    centres: Centres
    own: np.ndarray
    strengths: np.ndarray
    fields: list
    first: tuple
    second: tuple


class Network:
    """Energies from invariants of learned channels, in two passes.

    The first pass contracts the density of each environment to a few channels x_k,lm = Σ W^l_(an)k c_an,lm by centre
    element, forms invariants up to body order 4 and reads off strengths: some that carry a second density
    c_sn,lm = Σ_j q_js R_n Y_lm, one for each field. Channels of both densities and of the fields together give a second
    set of invariants. The energy of an atom is the sum of both passes' outputs, less that of its element alone.
    Strengths that source 1/r are shifted evenly to the total charge.

    Parameters
    ----------
    model : ModelConfig
        With `head.type: network`, all defaults resolved and elements listed.
    tolerance : float
        Relative error of the fields and their first derivatives.

    Attributes
    ----------
    shapes : dict of str to tuple
        Names and shapes of the parameters.
    cutoff : float
        Largest distance between atoms of a pair, in Å.
    coulomb : int or None
        Number of the first field of 1/r: its strengths are the charges that dipoles are made of.
    """

    #: Numbers read off each pass, after the strengths of the first: the energy.
    n_readouts = 1

    def __init__(self, model, tolerance):
        head = model.head
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
                           ("first", {"density": n * lanes}, padded(self._read + self.n_readouts)),
                           ("second", second, padded(self.n_readouts)))]
        self.shapes = self.passes[0].shapes | self.passes[1].shapes
        self._kept = None, {}  # rows of the chunks, of the last species that were evaluated

    def graph(self, system, neighbors, n_threads=1):
        """The graph of one structure."""
        pairs = neighbors.pairs(system, self.density.cutoff, n_threads)
        part = Part(system, slice(0, len(system)), slice(0, len(pairs.j)), neighbors)
        return Graph(system.species(self.elements), pairs, [part])

    def compute(self, parameters, graph, n_threads=1):
        """Energies of every atom, not yet less that of its element alone, and what `pull_back` needs.

        Parameters
        ----------
        parameters : dict of arrays
            With `shapes`.
        graph : Graph
        n_threads : int

        Returns
        -------
        energies : array, shape (atoms,)
        charges : array, shape (atoms, fields)
            The strengths that source the fields, after the shift.
        state
        """
        outputs, more, charges, state = self._through(parameters, graph, n_threads)
        return outputs[:, self._read] + more[:, 0], charges, state

    def _through(self, parameters, graph, n_threads):
        """Outputs of both passes, charges, and the state."""
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
        state = self._through(parameters, graph, 1)[3]
        return tuple(dict(zip(self.passes[k].shapes, inner[0])) for k, inner in enumerate((state.first, state.second)))

    def inputs(self, parameters, graph):
        """Invariants of each pass, (atoms, inputs)."""
        state = self._through(parameters, graph, 1)[3]
        return [self.passes[k].inputs(inner[1]) for k, inner in enumerate((state.first, state.second))]

    def pull_back(self, parameters, state, d_energies, d_charges=None, d_parameters=None, need_gradient=True,
                  n_threads=1):
        """Derivatives of Σ d_energies · energies + Σ d_charges · charges.

        Parameters
        ----------
        d_parameters : dict of arrays, optional
            To be added to.
        need_gradient : bool

        Returns
        -------
        gradient : array, shape (atoms, 3), or None
        virials : array, shape (parts, 3, 3), or None
        """
        d_second = np.zeros((len(state.graph.species), LANES))
        d_second[:, 0] = d_energies
        return self._back(parameters, state, (d_second[:, :1], d_second), (None, None), d_charges, d_parameters,
                          need_gradient, n_threads)

    def _back(self, parameters, state, d_read, d_channels, d_charges, d_parameters, need_gradient, n_threads):
        """Gradient and virials as of `pull_back`, given d/d(what is read off each pass), d/d(channels) and charges."""
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

    def evaluate(self, parameters, graph, n_threads=1):
        """Energies of every atom, not yet less that of its element alone, charges, and derivatives of their sum.

        The same as `compute` and `pull_back`, in chunks of centres that stay in the cache; of the expansions, only the
        first pass's channels are kept for the way back.

        Parameters
        ----------
        parameters : dict of arrays
            From `prepared`.
        graph : Graph
            Of one structure.
        n_threads : int

        Returns
        -------
        energies : array, shape (atoms,)
        charges : array, shape (atoms, fields)
        scalars : array, shape (atoms, columns)
            Density coefficients at l = 0.
        gradient : array, shape (atoms, 3)
        virial : array, shape (3, 3)
        """
        n, pairs, (one, two) = len(graph.species), graph.pairs, self.passes
        species, rows = self._kept  # both at once: another thread may evaluate other species meanwhile
        if not np.array_equal(species, graph.species):
            rows = {}
            self._kept = graph.species, rows
        outputs = np.empty((n, padded(self._read + 1)))
        scalars, states = np.empty((n, len(self.elements) * self.density.lanes)), {}

        def forward(a, b):
            chunk, centres = self._chunk(graph, rows, a, b)
            own = self.own(chunk, graph.species)
            outputs[a:b], state = one.compute(parameters, centres, [own])
            scalars[a:b], states[a] = own[:, 0], (chunk, centres, one.lean(state))

        _in_chunks(forward, n, n_threads)
        strengths = np.ascontiguousarray(outputs[:, :self.strengths])
        charges = self._shifted(graph, outputs[:, self.strengths:self._read])
        far, fields = self._compute_fields(graph, charges, n_threads)
        energies, d_far = np.empty(n), None if far is None else np.empty_like(far)
        pair_gradient = memory.zeros((len(pairs.j), 3))
        pair_strengths = memory.empty((len(pairs.j), self.strengths))

        def there_and_back(a, b):
            chunk, centres, _ = states[a]
            sources = [self.own(chunk, graph.species), self._carried(chunk, strengths)]
            sources += [] if far is None else [far[a:b]]
            more, state = two.compute(parameters, centres, sources)
            energies[a:b] = outputs[a:b, self._read] + more[:, 0]
            d_more = np.zeros_like(more)
            d_more[:, 0] = 1.0
            d_own, d_carried, *d_here = two.pull_back(parameters, centres, state, d_more)
            self.density.pull_back(chunk, graph.species, d_own, pair_gradient, 1)
            self.density.pull_back_carried(chunk, strengths, d_carried, pair_gradient, 1, pair_strengths)
            for values in d_here:
                d_far[a:b] = values

        _in_chunks(there_and_back, n, n_threads)
        gradient, virials = np.zeros((n, 3)), np.zeros((1, 3, 3))
        d_charges = self._pull_fields(graph, fields, [] if far is None else [d_far], gradient, virials, n_threads)
        d_outputs = self._d_outputs(graph, pairs.sum_neighbors(pair_strengths, n), d_charges, 1.0)

        def back(a, b):
            chunk, centres, state = states.pop(a)
            d_own, = one.pull_back(parameters, centres, state, d_outputs[a:b])
            self.density.pull_back(chunk, graph.species, d_own, pair_gradient, 1)

        _in_chunks(back, n, n_threads)
        self._collect(graph, pair_gradient, gradient, virials)
        return energies, charges, scalars, gradient, virials[0]

    def prepared(self, parameters):
        """Parameters in the form that makes many evaluations fast."""
        return self.passes[0].prepared(parameters) | self.passes[1].prepared(parameters)

    def _chunk(self, graph, rows, a, b):
        """Pairs of the centres a to b, and their `Centres`, kept in `rows` for the next structure of these species."""
        if (a, b) not in rows:
            rows[a, b] = Centres.of(graph.species[a:b], self._l_max)
        return replace(graph.pairs, first=graph.pairs.first[a:b + 1]), rows[a, b]

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

    def isolated(self, parameters):
        """Energy of each element's atom alone in the world, shape (elements,)."""
        return self.compute(parameters, self._lonely)[0]

    @property
    def _lonely(self):
        n = len(self.elements)
        nothing = PairList(np.zeros(n + 1, np.int64), *(np.zeros(0, np.int64),) * 2, np.zeros((0, 3)), np.zeros(0))
        return Graph(np.arange(n), nothing, [])

    def linear_features(self, state, owner):
        """What the energy is linear in, summed over the atoms of each element, (passes, elements, hidden + inputs).

        The last hidden units, then the inputs; see `Pass.linear`.
        """
        return np.array([_summed(one.linear(inner), owner, len(self.elements))
                         for one, inner in zip(self.passes, (state.first, state.second))])

    def isolated_linear_features(self, parameters):
        """The same for each element's atom alone in the world."""
        return self.linear_features(self.compute(parameters, self._lonely)[2], np.arange(len(self.elements)))

    def add_linear(self, parameters, change):
        """Add to the weights of `linear_features`, (passes, elements, hidden + inputs), in place."""
        for name, column, values in self._linear(change):
            parameters[name][:, :, column] += values

    def with_linear(self, parameters, weights):
        """Parameters whose energies are Σ weights · (linear features) alone, while the strengths stay as they are."""
        result = dict(parameters)
        for name, column, values in self._linear(weights):
            result[name] = parameters[name].copy()
            result[name][:, :, column] = values
            result.pop(TURNED + name, None)
        return result

    def _linear(self, weights):
        """Names of the matrices that weigh `linear_features`, their column for the energy and its part of `weights`."""
        for one, column, values in zip(self.passes, (self._read, 0), weights):
            last = f"{one.name}.weights{self.depth - 1}"
            hidden = self.shapes[last][1]
            yield last, column, values[:, :hidden]
            yield f"{one.name}.direct", column, values[:, hidden:]

    @property
    def n_parameters(self):
        """Number of parameters."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def unpack(self, flat):
        """Views of all parameters in one row, by name."""
        ends = np.cumsum([0] + [int(np.prod(shape)) for shape in self.shapes.values()])
        return {name: flat[a:b].reshape(shape)
                for (name, shape), a, b in zip(self.shapes.items(), ends, ends[1:])}


def _summed(values, owner, count):
    """Rows of `values` summed by owner."""
    result = np.zeros((count, values.shape[1]))
    np.add.at(result, owner, values)
    return result


def _in_chunks(work, n, n_threads):
    """Call ``work(a, b)`` over ranges of at most CHUNK centres; results do not depend on the ranges."""
    def chunks(start, stop):
        for a in range(start, stop, CHUNK):
            work(a, min(a + CHUNK, stop))

    run(chunks, n, n_threads)
