"""What a trained network is linear in, as the linear model that it is: solved, and drawn from its posterior."""

from functools import cached_property

import numpy as np

from ase_lode.training.metrics import STRAINS, voigt
from ase_lode.training.network import errors, in_order, join, thinned

#: Random combinations of the inputs of each pass. They lower errors (acetylacetone by 3 %), and grow far from the data,
#: where hidden units saturate: 300 K above the data 60 % of errors are within one uncertainty, 53 % without them.
COMBINED = 256
#: Random directions in which forces of a structure enter, and how many more of them than columns there are in all.
DIRECTIONS, ROWS = 8, 4
#: Atoms at most of the structures that are solved for, or all of a large data set would take longer than its training;
#: and rows that are in memory together.
ATOMS, BLOCK = 100_000, 4_000
#: Displacement in Å, and strain, of the differences of features.
STEP, STRAIN = 1e-4, 1e-5
#: A label with N residuals counts as N^(1 - p) of them: energies are few beside forces. Which p is best the structures
#: held back tell; without any it is the first.
POWERS = (0.0, 1 / 3, 1 / 2, 2 / 3)
#: Steps at most, and what keeps each near its start, relative to the mean curvature.
ROUNDS, DAMPING = 8, 1e-4
#: Variance of the prior of the weights, relative to the mean over the data.
PRIOR = 1e-6
#: Errors below this share of a label's spread do not count.
NOISE = 1e-6


class LastLayers:
    """Energies linear in weights of both passes and, as last columns, in the reference energies.

    The weights are those of the last hidden units, and those of random combinations of the inputs in the direct layer.
    All else of the network stays as it is. Residuals are of energies by atom, of gradients and of stresses, in units of
    the root mean square of each label's own.

    Parameters
    ----------
    network : Network
    row : array
        All parameters, see `Loss`.
    samples : list of Sample
        Labelled structures, of which at most `ATOMS` atoms are used.
    spreads : dict of str to float
        The labels that are fitted, and about how large they are.
    seed, n_threads : int
    free_references : bool
        Whether the reference energies may change.
    """

    def __init__(self, network, row, samples, spreads, seed, n_threads, free_references=True):
        self._network, self._samples, self._spreads = network, thinned(samples, ATOMS), spreads
        self._seed, self._n_threads = seed, n_threads
        self.row, self._alone = row, network.isolated_linear_features(network.unpack(row))
        self._hidden = self._alone.shape[-1] - network.n_inputs
        rng = np.random.default_rng([seed, 5])
        count = min(COMBINED, network.n_inputs)
        self._combine = rng.standard_normal((len(network.passes), network.n_inputs, count)) / np.sqrt(network.n_inputs)
        self._shape = (*self._alone.shape[:2], self._hidden + count)
        self._weighed = int(np.prod(self._shape))
        self._columns = self._weighed + (len(network.elements) if free_references else 0)

    def solve(self, held, progress):
        """Descend as long as no label's errors rise on the structures held back, or on those fitted if there are none.

        Of several steps the one is taken after which the mean logarithm of the errors is lowest: labels count alike,
        whatever their units.
        """
        judges, residuals = held or self._samples, self._residuals(self.row)
        best = self._errors(self.row, judges)
        for _ in progress.track(range(ROUNDS), "last layers", ROUNDS):
            descents = [self._descent(residuals, power) for power in (POWERS if held else POWERS[:1])]
            found = [self._errors(row, judges) for row, _ in descents]
            better = [k for k, here in enumerate(found) if (here <= best).all() and (here < best).any()]
            if not better:
                break
            taken = min(better, key=lambda k: np.log(found[k]).mean())
            best, (self.row, residuals) = found[taken], descents[taken]

    def _descent(self, residuals, power):
        """All parameters after a step, and the residuals there.

        The step is Newton's with an estimated curvature, and as long as is best: residuals are linear in what is solved
        for.
        """
        weights = {kind: weight / len(residuals[kind]) ** power for kind, weight in self._weights(residuals).items()}
        matrix = self._matrix(weights)
        matrix += (DAMPING * np.trace(matrix) / len(matrix) or 1.0) * np.eye(len(matrix))
        step = np.linalg.solve(matrix, -self._vector(residuals, weights))
        moved = self._residuals(self._moved(step))
        changes = {kind: moved[kind] - values for kind, values in residuals.items()}
        length = (-sum(w * residuals[kind] @ changes[kind] for kind, w in weights.items())
                  / max(sum(w * changes[kind] @ changes[kind] for kind, w in weights.items()), 1e-300))
        return self._moved(length * step), {kind: values + length * changes[kind] for kind, values in residuals.items()}

    def draws(self, count):
        """Deviations of the weights drawn from their posterior, to be scaled.

        Shape (draws, passes, elements, hidden + inputs), with inputs as of prepared parameters, not standardised. Zero
        where no energy depends on any of the weights, as in single atoms.
        """
        n = self._weighed
        values, vectors = np.linalg.eigh(self._matrix(self._weights(self._residuals(self.row)))[:n, :n])
        floor = PRIOR * values.mean()
        spread = 1.0 / np.sqrt(np.maximum(values, 0.0) + floor) if floor > 0 else np.zeros(n)
        rng = np.random.default_rng([self._seed, 2])
        draws = rng.standard_normal((count, n)) * spread @ vectors.T
        result = self._expanded(draws.reshape(count, *self._shape))
        parameters = self._network.unpack(self.row)
        result[..., self._hidden:] *= np.array([parameters[f"{one.name}.scale"] for one in self._network.passes])
        return result.astype(np.float32)

    def _errors(self, row, samples):
        """Root mean square error of each label."""
        found = errors(self._network, row, samples, self._n_threads)
        return np.array([max(found[kind], NOISE * spread) for kind, spread in self._spreads.items() if kind in found])

    def _moved(self, step):
        """All parameters after a step of the columns."""
        row, n = self.row.copy(), self._weighed
        self._network.add_linear(self._network.unpack(row), self._expanded(step[:n].reshape(self._shape)))
        row[self._network.n_parameters:][:len(step) - n] += step[n:]
        return row

    def _weights(self, residuals):
        """One over the mean square of the residuals of each label."""
        return {kind: 1.0 / max(np.mean(values**2), (NOISE * self._spreads[kind]) ** 2)
                for kind, values in residuals.items()}

    def _matrix(self, weights):
        """Weighted Gram matrix of all rows.

        That of the gradients' rows is estimated by derivatives of the columns along random directions, whose mean it
        is.
        """
        return sum(weights[kind] * matrix for kind, matrix in self._grams.items())

    @cached_property
    def _grams(self):
        directions = max(DIRECTIONS, -(-ROWS * self._columns // len(self._samples)))

        def rows(network, number, sample):
            found, n = {}, len(sample)
            if sample.energy is not None:
                found["energy"] = self._features(network, sample)[None] / n
            if sample.forces is not None:
                rng = np.random.default_rng([self._seed, 4, number])
                moves = STEP * rng.standard_normal((directions, n, 3))
                found["forces"] = np.array([self._slope(network, sample, move, 0.0, STEP) for move in moves])
                found["forces"] /= np.sqrt(directions)
            if sample.stress is not None:
                found["stress"] = np.array([self._slope(network, sample, 0.0, STRAIN * strain,
                                                        STRAIN * sample.system.measure) for strain in STRAINS])
            return found

        grams, block = {}, max(1, BLOCK // directions)
        for start in range(0, len(self._samples), block):
            for kind, found in self._gathered(rows, slice(start, start + block)).items():
                grams[kind] = grams.get(kind, 0.0) + found.T @ found
        return grams

    def _residuals(self, row):
        """Residuals by label, those of one structure after those of the other."""
        references = row[self._network.n_parameters:]
        parameters = self._network.unpack(row)
        zero = references - self._network.isolated(parameters)

        def residuals(network, _, sample):
            found, n = {}, len(sample)
            energies, _, state = network.compute(parameters, join([sample], [(None, None)], 0))
            gradient, virials = network.pull_back(parameters, state, np.ones(n))
            if sample.energy is not None:
                found["energy"] = np.array([energies.sum() + sample.counts @ zero - sample.energy]) / n
            if sample.forces is not None:
                found["forces"] = (gradient + sample.forces).ravel()
            if sample.stress is not None:
                found["stress"] = voigt(virials[0]) / sample.system.measure - sample.stress
            return found

        return self._gathered(residuals)

    def _vector(self, residuals, weights):
        """Σ weight · residual · row of all labels; the rows of a structure meet its residuals in one derivative."""
        places = {kind: iter(np.split(values, self._ends(kind))) for kind, values in residuals.items()}
        shares = [{kind: next(places[kind]) for kind in residuals if getattr(sample, kind) is not None}
                  for sample in self._samples]

        def products(network, number, sample):
            found = {}
            for kind, values in shares[number].items():
                peak = max(abs(values).max(), 1e-300)
                if kind == "energy":
                    found[kind] = values * self._features(network, sample)[None] / len(sample)
                elif kind == "forces":
                    move = STEP / peak * values.reshape(-1, 3)
                    found[kind] = self._slope(network, sample, move, 0.0, STEP / peak)[None]
                else:
                    strain = STRAIN / peak * np.tensordot(values, STRAINS, 1)
                    found[kind] = self._slope(network, sample, 0.0, strain,
                                              STRAIN / peak * sample.system.measure)[None]
            return found

        return sum(weights[kind] * found.sum(axis=0) for kind, found in self._gathered(products).items())

    def _ends(self, kind):
        """Where the residuals of each structure but the last one end."""
        sizes = [{"energy": 1, "forces": 3 * len(s), "stress": 6}[kind] for s in self._samples
                 if getattr(s, kind) is not None]
        return np.cumsum(sizes)[:-1]

    def _slope(self, network, sample, displacement, strain, step):
        """Derivative of the columns along a displacement and strain that are `step` long."""
        move = np.zeros((len(sample), 3)) + displacement, np.zeros((3, 3)) + strain
        ends = [self._features(network, sample, sign * move[0], sign * move[1]) for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * step)

    def _features(self, network, sample, displacement=None, strain=None):
        """The columns of a structure's energy."""
        state = network.compute(network.unpack(self.row), join([sample], [(displacement, strain)], 0))[2]
        features = network.linear_features(state, sample.species) - self._alone * sample.counts[:, None]
        features = np.concatenate([features[..., :self._hidden], features[..., self._hidden:] @ self._combine], axis=-1)
        return np.concatenate([features.ravel(), sample.counts])[:self._columns]

    def _expanded(self, weights):
        """Weights of all inputs for those of their combinations, (..., passes, elements, hidden + inputs)."""
        combined = weights[..., self._hidden:] @ self._combine.transpose(0, 2, 1)
        return np.concatenate([weights[..., :self._hidden], combined], axis=-1)

    def _gathered(self, work, part=slice(None)):
        """``work(network, number, sample)`` of structures, which gives arrays by label, joined in their order."""
        numbered = list(enumerate(self._samples))[part]
        found = in_order(lambda network, item: work(network, *item), self._network, numbered, self._n_threads)
        return {kind: np.concatenate([here[kind] for here in found if kind in here])
                for kind in self._spreads if any(kind in here for here in found)}
