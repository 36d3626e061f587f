"""The last layers of a trained network as the linear model that they are: solved, and drawn from their posterior."""

import copy
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from threadpoolctl import threadpool_limits

from ase_lode.training.metrics import voigt
from ase_lode.training.network import SHARES, errors, join

#: Random directions in which forces of a structure enter, and how many more of them than columns there are in all.
DIRECTIONS, ROWS = 8, 12
#: Displacement in Å, and strain, of the differences of features.
STEP, STRAIN = 1e-4, 1e-5
#: Newton's steps at most, and what keeps each near its start, relative to the mean curvature.
ROUNDS, DAMPING = 4, 1e-4
#: Variance of the prior of the weights, relative to the mean over the data.
PRIOR = 1e-6
#: Errors below this share of a label's spread do not count.
NOISE = 1e-6
#: Strains by Voigt index, shears halved into both off-diagonals.
STRAINS = np.zeros((6, 3, 3))
for _k, (_a, _b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
    STRAINS[_k, _a, _b] += 0.5
    STRAINS[_k, _b, _a] += 0.5


class LastLayers:
    """Energies linear in the weights of both passes' last layers and, as last columns, in the reference energies.

    All else of the network stays as it is. Each label weighs by the mean square of its own residuals. The Gram matrix
    of the forces' rows is estimated by derivatives of the features along random directions, whose mean it is; the
    product of the rows with the residuals is one derivative along these, and exact: Newton's steps with an estimated
    matrix still end at the least-squares solution.

    Parameters
    ----------
    network : Network
    row : array
        All parameters, see `Loss`.
    samples : list of Sample
        Labelled structures.
    spreads : dict of str to float
        The labels that are fitted, and about how large they are.
    seed, n_threads : int
    free_references : bool
        Whether the reference energies may change.
    """

    def __init__(self, network, row, samples, spreads, seed, n_threads, free_references=True):
        self._network, self._samples, self._spreads = network, samples, spreads
        self._seed, self._n_threads = seed, n_threads
        self.row, self._parameters = row, network.unpack(row)
        self._alone = network.isolated_last_features(self._parameters)
        self._columns = self._alone.size + (len(network.elements) if free_references else 0)

    def solve(self, held, progress):
        """Take Newton's steps as long as errors fall on the structures held back, or on those fitted if there are none.
        """
        judges = held or self._samples
        best, score = self.row, self._score(judges)
        for _ in progress.track(range(ROUNDS), "last layers", ROUNDS):
            matrix, vector = self._weighted(self._residuals())
            matrix += DAMPING * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
            self._move(-np.linalg.lstsq(matrix, vector)[0])
            found = self._score(judges)
            if found >= score:
                break
            best, score = self.row, found
        self.row, self._parameters = best, self._network.unpack(best)

    def draws(self, count):
        """Deviations of the weights drawn from their posterior, (draws, passes, elements, hidden), to be scaled."""
        n = self._alone.size
        values, vectors = np.linalg.eigh(self._weighted(self._residuals())[0][:n, :n])
        spread = 1.0 / np.sqrt(np.maximum(values, 0.0) + PRIOR * values.mean())
        rng = np.random.default_rng([self._seed, 2])
        return (rng.standard_normal((count, n)) * spread @ vectors.T).reshape(count, *self._alone.shape)

    def _score(self, samples):
        """Mean logarithm of the errors: labels count alike, whatever their units."""
        found = errors(self._network, self.row, samples, self._n_threads)
        return np.mean([np.log(max(found[kind], NOISE * spread)) for kind, spread in self._spreads.items()
                        if kind in found])

    def _move(self, step):
        """Change weights and reference energies."""
        self.row, n = self.row.copy(), self._alone.size
        self._parameters = self._network.unpack(self.row)
        self._network.add_to_last(self._parameters, step[:n].reshape(self._alone.shape))
        references = self.row[self._network.n_parameters:]
        references[:len(step) - n] += step[n:]

    def _weighted(self, residuals):
        """Gram matrix and vector of all labels, each divided by the mean square of its residuals."""
        weights = {kind: 1 / max(square / count, (NOISE * self._spreads[kind]) ** 2)
                   for kind, (_, square, count) in residuals.items()}
        return (sum(weights[kind] * matrix for kind, matrix in self._curvatures.items()),
                sum(weights[kind] * vector for kind, (vector, *_) in residuals.items()))

    def _summed(self, work):
        """Sums over all structures of ``work(network, number, sample)``, which gives arrays by label."""
        shares = [range(k, len(self._samples), SHARES) for k in range(SHARES)]
        copies = [copy.deepcopy(self._network) for _ in shares]

        def share(k):
            sums = {}
            for number in shares[k]:
                for kind, values in work(copies[k], number, self._samples[number]).items():
                    sums[kind] = [a + b for a, b in zip(sums[kind], values)] if kind in sums else list(values)
            return sums

        with threadpool_limits(1), ThreadPoolExecutor(self._n_threads) as pool:
            parts = list(pool.map(share, range(SHARES)))
        return {kind: [sum(values) for values in zip(*(part[kind] for part in parts if kind in part))]
                for kind in self._spreads if any(kind in part for part in parts)}

    @cached_property
    def _curvatures(self):
        """Gram matrices by label; the features do not depend on what is solved for."""
        directions = max(DIRECTIONS, -(-ROWS * self._columns // len(self._samples)))

        def work(network, number, sample):
            found, n = {}, len(sample)
            if sample.energy is not None:
                rows = self._features(network, sample)[None] / n
                found["energy"] = [rows.T @ rows]
            if sample.forces is not None:
                rng = np.random.default_rng([self._seed, 4, number])
                rows = [self._slope(network, sample, STEP * rng.standard_normal((n, 3)), None, STEP)
                        for _ in range(directions)]
                found["forces"] = [np.transpose(rows) @ rows / directions]
            if sample.stress is not None:
                rows = [self._slope(network, sample, None, STRAIN * strain, STRAIN * sample.system.measure)
                        for strain in STRAINS]
                found["stress"] = [np.transpose(rows) @ rows]
            return found

        return {kind: matrix for kind, (matrix,) in self._summed(work).items()}

    def _residuals(self):
        """Of every label the product of residuals and rows, the sum of the residuals' squares and their number."""
        n_elements, references = len(self._network.elements), self.row[self._network.n_parameters:]
        zero = references - self._network.isolated(self._parameters)

        def work(network, _, sample):
            found, n = {}, len(sample)
            graph = join([sample], [(None, None)], n_elements)
            energies, _, state = network.compute(self._parameters, graph)
            gradient, virials = network.pull_back(self._parameters, state, np.ones(len(energies)))
            if sample.energy is not None:
                error = (energies[:n].sum() + sample.counts @ zero - sample.energy) / n
                found["energy"] = [error * self._features(network, sample) / n, error**2, 1]
            if sample.forces is not None:
                error = gradient[:n] + sample.forces  # of dE/dr
                step = STEP / max(abs(error).max(), 1e-300)
                found["forces"] = [self._slope(network, sample, step * error, None, step), np.sum(error**2), 3 * n]
            if sample.stress is not None:
                error = voigt(virials[0]) / sample.system.measure - sample.stress
                step = STRAIN / max(abs(error).max(), 1e-300)
                strain = step * np.tensordot(error, STRAINS, 1)
                found["stress"] = [self._slope(network, sample, None, strain, step * sample.system.measure),
                                   np.sum(error**2), 6]
            return found

        return self._summed(work)

    def _slope(self, network, sample, displacement, strain, step):
        """Derivative of the columns along a displacement and strain, which are `step` long."""
        displacement = np.zeros((len(sample), 3)) if displacement is None else displacement
        strain = np.zeros((3, 3)) if strain is None else strain
        return (self._features(network, sample, displacement, strain)
                - self._features(network, sample, -displacement, -strain)) / (2 * step)

    def _features(self, network, sample, *move):
        """The columns of a structure's energy."""
        state = network.compute(self._parameters, join([sample], [move or (None, None)], 0))[2]
        features = network.last_features(state, sample.species) - self._alone * sample.counts[:, None]
        return np.concatenate([features.ravel(), sample.counts])[:self._columns]
