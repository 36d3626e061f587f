"""The network head: energies of atoms, read off two passes."""

from dataclasses import replace

import numpy as np

from ase_lode import memory
from ase_lode.models.passes import TURNED, Centres
from ase_lode.models.two_passes import Graph, TwoPasses, padded
from ase_lode.neighbors import PairList
from ase_lode.parallel import run
from ase_lode.radial import LANES

#: Centres evaluated together: their expansions stay in the cache, and what each call costs is shared.
CHUNK = 128


class Network(TwoPasses):
    """Energies from two passes: the sum of what is read off both, less that of the element alone.

    Parameters
    ----------
    model : ModelConfig
        With `head.type: network`, all defaults resolved and elements listed.
    tolerance : float
        Relative error of the fields and their first derivatives.
    """

    def __init__(self, model, tolerance):
        super().__init__(model, tolerance, 1)
        self._kept = None, {}  # rows of the chunks, of the last species that were evaluated

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
        outputs, more, charges, state = self.through(parameters, graph, n_threads)
        return outputs[:, self._read] + more[:, 0], charges, state

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
        return self.back(parameters, state, (d_second[:, :1], d_second), (None, None), d_charges, d_parameters,
                          need_gradient, n_threads)

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

    def _chunk(self, graph, rows, a, b):
        """Pairs of the centres a to b, and their `Centres`, kept in `rows` for the next structure of these species."""
        if (a, b) not in rows:
            rows[a, b] = Centres.of(graph.species[a:b], self._l_max)
        return replace(graph.pairs, first=graph.pairs.first[a:b + 1]), rows[a, b]

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
