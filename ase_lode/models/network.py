"""The network head: two passes of densities and fields, whose strengths every atom learns from its surroundings."""

from dataclasses import dataclass

import numpy as np

from ase_lode._loops.pairs import add_pair_gradient
from ase_lode.errors import StructureError
from ase_lode.features.density import DensityExpansion
from ase_lode.features.learned import LearnedField
from ase_lode.models.layers import Invariants, Perceptron, Rows, transposed
from ase_lode.neighbors import PairList
from ase_lode.radial import LANES
from ase_lode.system import CHEMICAL_SYMBOLS


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
class _State:
    """What `Network.pull_back` needs of `Network.compute`; `first` and `second` are outputs and perceptron states."""

    graph: Graph
    atoms: Rows
    rows: Rows
    own: np.ndarray
    channels: np.ndarray
    first: tuple
    strengths: np.ndarray
    carried: np.ndarray
    far: np.ndarray | None
    states: list | None
    mixed: np.ndarray
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
    """

    def __init__(self, model, tolerance):
        head = model.head
        self.elements = list(model.elements)
        self.density = DensityExpansion(model.density)
        self.fields = [LearnedField(config, tolerance) for config in model.fields]
        self.cutoff = max([self.density.cutoff] + [field.cutoff for field in self.fields])
        self._l_max, self._orders = model.density.max_angular, (model.density.max_angular + 1) ** 2
        self.orders = [slice(l * l, (l + 1) ** 2) for l in range(self._l_max + 1)]
        self.strengths, self.depth = head.strengths, len(head.hidden) + 1
        self._energy = head.strengths + len(self.fields)
        self._invariants = Invariants(self._l_max, head.cubic_angular)
        self.n_inputs = self._invariants.count * head.channels
        self.channels = head.channels
        hidden = list(head.hidden)
        self._perceptrons = [Perceptron([self.n_inputs, *hidden, padded(self._energy + 1)]),
                             Perceptron([self.n_inputs, *hidden, LANES])]
        n, blocks = len(self.elements), len(self.elements) * (self._l_max + 1)
        own, carried = n * self.density.lanes, head.strengths * self.density.lanes
        self.shapes = {"first.density": (blocks, own, head.channels), "second.density": (blocks, own, head.channels),
                       "second.carried": (blocks, carried, head.channels)}
        if self.fields:
            self.shapes["second.fields"] = (blocks, padded(len(self.fields)), head.channels)
        for name, perceptron in zip(("first", "second"), self._perceptrons):
            for part, shape in perceptron.shapes(n).items():
                self.shapes[f"{name}.{part}"] = shape
            self.shapes[f"{name}.mean"] = self.shapes[f"{name}.scale"] = (n, self.n_inputs)

    def species(self, system):
        """Index of each atom's element.

        Raises
        ------
        StructureError
            Elements that the model does not know.
        """
        known = {CHEMICAL_SYMBOLS.index(element): index for index, element in enumerate(self.elements)}
        unknown = sorted({CHEMICAL_SYMBOLS[z] for z in system.numbers if z not in known})
        if unknown:
            raise StructureError(f"Elements {', '.join(unknown)} are not in the model, which knows "
                                 f"{', '.join(self.elements)}; use a potential trained on them.")
        return np.array([known[z] for z in system.numbers])

    def graph(self, system, neighbors, n_threads=1):
        """The graph of one structure."""
        pairs = neighbors.pairs(system, self.density.cutoff, n_threads)
        part = Part(system, slice(0, len(system)), slice(0, len(pairs.j)), neighbors)
        return Graph(self.species(system), pairs, [part])

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
        species, n = graph.species, len(graph.species)
        atoms = Rows.of(np.arange(n), species)
        lm = np.arange(self._orders)
        block = (species[:, None] * (self._l_max + 1) + np.sqrt(lm).astype(int)).ravel()
        rows = Rows.of(np.arange(n * self._orders), block)
        own = self.own(graph, n_threads)
        channels = self._contract(rows, [(own, parameters["first.density"])], n_threads)
        first = self._read(0, parameters, atoms, species, channels, n_threads)
        outputs = first[0]
        strengths = np.ascontiguousarray(outputs[:, :self.strengths])
        carried = np.zeros((n, self._orders, self.strengths * self.density.lanes))
        self.density.add_carried(graph.pairs, strengths, carried, n_threads)
        charges = self._shifted(graph, outputs[:, self.strengths:self._energy])
        far, states = self._compute_fields(graph, charges, n_threads)
        sources = [(own, parameters["second.density"]), (carried, parameters["second.carried"])]
        if self.fields:
            sources.append((far, parameters["second.fields"]))
        mixed = self._contract(rows, sources, n_threads)
        second = self._read(1, parameters, atoms, species, mixed, n_threads)
        energies = outputs[:, self._energy] + second[0][:, 0]
        return energies, charges, _State(graph, atoms, rows, own, channels, first, strengths, carried, far, states,
                                         mixed, second)

    def own(self, graph, n_threads=1):
        """Density coefficients c_an,lm, shape (atoms, lm, columns)."""
        out = np.zeros((len(graph.species), self._orders, len(self.elements) * self.density.lanes))
        self.density.add(graph.pairs, graph.species, out, n_threads)
        return out

    def sources(self, parameters, graph):
        """What the channels of each pass are made of, (atoms, lm, columns) by the name of the weights."""
        state = self.compute(parameters, graph)[2]
        second = {"second.density": state.own, "second.carried": state.carried, "second.fields": state.far}
        return {"first.density": state.own}, {name: values for name, values in second.items() if values is not None}

    def inputs(self, parameters, graph):
        """Invariants of each pass, (atoms, inputs)."""
        state = self.compute(parameters, graph)[2]
        return [self._invariants.compute(channels, 1).reshape(len(channels), -1)
                for channels in (state.channels, state.mixed)]

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
        graph, atoms, rows, first, second = state.graph, state.atoms, state.rows, state.first, state.second
        species, pairs, mixed = graph.species, graph.pairs, state.mixed
        d_out = np.zeros_like(second[0])
        d_out[:, 0] = d_energies
        d_mixed = self._pull_read(1, parameters, atoms, species, mixed, second, d_out, d_parameters, n_threads)
        gradient, virials = np.zeros((len(species), 3)), np.zeros((len(graph.parts), 3, 3))
        d_far = self._pull_contract(rows, state.far, "second.fields", parameters, d_mixed, d_parameters, n_threads)
        d_sent = self._pull_fields(graph, state.states, d_far, gradient, virials, n_threads)
        if d_charges is not None:
            d_sent = d_sent + d_charges
        d_carried = self._pull_contract(rows, state.carried, "second.carried", parameters, d_mixed, d_parameters,
                                        n_threads)
        pair_gradient = np.zeros((len(pairs.j), 3)) if need_gradient else None
        d_first = np.zeros_like(first[0])
        d_first[:, :self.strengths] = self.density.pull_back_carried(pairs, state.strengths, d_carried, pair_gradient,
                                                                     n_threads)
        d_first[:, self.strengths:self._energy] = self._pull_shift(graph, d_sent)
        d_first[:, self._energy] = d_energies
        d_channels = self._pull_read(0, parameters, atoms, species, state.channels, first, d_first, d_parameters,
                                     n_threads)
        d_own = self._pull_contract(rows, state.own, "first.density", parameters, d_channels, d_parameters, n_threads,
                                    need_gradient)
        more = self._pull_contract(rows, state.own, "second.density", parameters, d_mixed, d_parameters, n_threads,
                                   need_gradient)
        if not need_gradient:
            return None, None
        self.density.pull_back(pairs, species, d_own + more, pair_gradient, n_threads)
        for part, virial in zip(graph.parts, virials):
            add_pair_gradient(part.pairs.start, part.pairs.stop, pairs.i, pairs.j, pairs.vectors, pair_gradient,
                              gradient, virial)
        return gradient, virials

    def _contract(self, rows, sources, n_threads):
        """Channels x_k,lm = Σ_q W^l_qk c_q,lm, shape (atoms, lm, channels)."""
        out = np.zeros((*sources[0][0].shape[:2], self.channels))
        for values, weights in sources:
            rows.multiply(_flat(values), weights, _flat(out), n_threads)
        return out

    def _pull_contract(self, rows, values, name, parameters, d_channels, d_parameters, n_threads, need=True):
        if values is None:
            return None
        if d_parameters is not None:
            rows.add_outer(_flat(values), _flat(d_channels), d_parameters[name])
        if not need:
            return None
        d_values = np.zeros_like(values)
        rows.multiply(_flat(d_channels), transposed(parameters[name]), _flat(d_values), n_threads)
        return d_values

    def _read(self, number, parameters, atoms, species, channels, n_threads):
        """Outputs of a pass and the state of its perceptron."""
        here = _part(parameters, number)
        inputs = self._invariants.compute(channels, n_threads).reshape(len(species), -1)
        inputs = (inputs - here["mean"][species]) * here["scale"][species]
        return self._perceptrons[number].compute(here, atoms, species, inputs, n_threads)

    def _pull_read(self, number, parameters, atoms, species, channels, read, d_out, d_parameters, n_threads):
        here = _part(parameters, number)
        d_here = None if d_parameters is None else _part(d_parameters, number)
        d_inputs = self._perceptrons[number].pull_back(here, atoms, species, read[1], d_out, d_here, n_threads)
        d_inputs *= here["scale"][species]
        shape = (len(species), self._invariants.count, self.channels)
        return self._invariants.pull_back(channels, d_inputs.reshape(shape), n_threads)

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
        far = np.zeros((len(charges), self._orders, padded(len(self.fields))))
        states = []
        for part in graph.parts:
            for number, field in enumerate(self.fields):
                values, state = field.compute(part.system, charges[part.atoms, number], part.neighbors, n_threads)
                far[part.atoms, :values.shape[1], number] = values
                states.append(state)
        return far, states

    def _pull_fields(self, graph, states, d_far, gradient, virials, n_threads):
        d_charges = np.zeros((len(graph.species), len(self.fields)))
        states = iter(states or ())
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

    def last_features(self, state, owner):
        """What the last layers weigh, summed over the atoms of each element, shape (passes, elements, hidden)."""
        return np.array([_summed(read[1][-1][0], owner, len(self.elements)) for read in (state.first, state.second)])

    def isolated_last_features(self, parameters):
        """The same for each element's atom alone in the world."""
        return self.last_features(self.compute(parameters, self._lonely)[2], np.arange(len(self.elements)))

    def with_last(self, parameters, weights):
        """Parameters whose energies are Σ weights · (last features) alone, while the strengths stay as they are."""
        result, last = dict(parameters), self.depth - 1
        for number, (prefix, column) in enumerate((("first", self._energy), ("second", 0))):
            for name in (f"{prefix}.weights{last}", f"{prefix}.direct"):
                result[name] = parameters[name].copy()
                result[name][:, :, column] = weights[number] if "weights" in name else 0.0
        return result

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


def _flat(array):
    """Rows (atoms x lm, channels) of an array (atoms, lm, channels)."""
    return array.reshape(-1, array.shape[-1])


def _part(parameters, number):
    """The parameters of one pass under their short names."""
    prefix = ("first.", "second.")[number]
    return {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}
