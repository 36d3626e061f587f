"""Training of a network head: minimise the loss, then draw its last layers from their posterior."""

import hashlib
import json

import numpy as np

from ase_lode.models.network import Network
from ase_lode.models.potential import Potential
from ase_lode.training.committee import taught
from ase_lode.training.dataset import sha256
from ase_lode.training.metrics import compare
from ase_lode.training.network import Loss, initial, join, make_samples
from ase_lode.training.optimise import Optimiser
from ase_lode.training.problem import Trained
from ase_lode.training.ridge_training import finite, widen

#: Tolerance of the fields on the particle mesh.
TOLERANCE = 1e-5
#: Draws of the last layers, random directions in which forces of a structure enter their posterior, and the step in Å.
DRAWS, DIRECTIONS, STEP = 16, 4, 1e-4
#: Variance of the prior of the last layers' weights, relative to the mean over the data.
PRIOR = 1e-6
#: Structures on which uncertainties are scaled, and the share of errors that one standard deviation holds.
CALIBRATED, ONE_SIGMA = 40, 0.6827


class NetworkTraining:
    """Optimises a network with checkpoints and adds a calibrated posterior of its last layers.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem):
        self._problem = problem
        self._network = Network(problem.model, TOLERANCE)

    def _checkpoint(self, member):
        """Where a network's run is kept: that of the potential, number 0, or of a member of its committee."""
        part = f"member{member}." if member else ""
        return self._problem.directory / f"{self._problem.config.output.name}.{part}training.npz"

    def plan(self):
        """Size of the problem."""
        return {"parameters": self._network.n_parameters}

    def fit(self, progress):
        """Optimise, or go on from the checkpoint of the same configuration and data.

        Returns
        -------
        Trained
        """
        problem, network = self._problem, self._network
        seed, head, data = problem.config.seed, problem.model.head, problem.data
        train, held = (make_samples(part, network, problem.baseline) for part in (data.train, data.held))
        loss = Loss(network, problem.scales, *charge_scales(train, problem.config.weights), problem.n_threads)
        problem.directory.mkdir(parents=True, exist_ok=True)

        def optimised(member, lessons):
            weights, sizes = initial(network, train, seed + member)
            optimiser = Optimiser(network, head, loss, train + lessons, held, sizes, seed + member, progress,
                                  problem.n_threads)
            return optimiser.run(weights, self._checkpoint(member), self._key(member))

        members = []
        for member in range(1, head.committee + 1):
            progress.say(f"member {member} of the committee")
            members.append(optimised(member, [])[0])
        weights, history = optimised(0, taught(network, members, train, progress, seed) if members else [])
        draws = self._posterior(weights, train)
        posterior, factor = self._calibrated(weights, draws, data.held or data.train)
        header = {"training": {"steps": head.steps, "committee": head.committee},
                  "uncertainty": {"energy_factor": factor}}
        return Trained(weights, problem.baseline, posterior, self._ranges(train), header, {"history": history})

    def clean(self):
        """Remove the checkpoints of the finished run."""
        for member in range(self._problem.model.head.committee + 1):
            self._checkpoint(member).unlink(missing_ok=True)

    def _key(self, member):
        """What a checkpoint must agree in: everything that decides the run."""
        config, data = self._problem.config, self._problem.data
        settings = {"model": self._problem.model.model_dump(mode="json"), "seed": config.seed,
                    "weights": config.weights.model_dump(), "files": sha256(data.paths), "member": member,
                    "train": len(data.train), "held": len(data.held)}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def _ranges(self, samples):
        """Smallest and largest density coefficients at l = 0 by element, each (elements, columns)."""
        n = len(self._network.elements)
        lower = np.full((n, n * self._network.density.lanes), np.inf)
        upper = -lower
        for sample in samples:
            widen(lower, upper, sample.species, self._network.own(sample.pairs, sample.species)[:, 0])
        return finite(lower, upper)

    def _posterior(self, weights, samples):
        """Draws of the deviations of the last layers' weights, (draws, passes, elements, hidden), to be scaled.

        The energy is linear in these weights, so their posterior is that of a linear model. The Gram matrix of the
        forces' rows is estimated by derivatives of the features along random displacements, whose mean it is.
        """
        network, scales = self._network, self._problem.scales
        rng = np.random.default_rng([self._problem.config.seed, 2])
        parameters = network.unpack(weights)
        alone = network.isolated_last_features(parameters)

        def features(sample, displacement):
            graph = join([sample], [(displacement, np.zeros((3, 3)))], 0)
            state = network.compute(parameters, graph)[2]
            counts = np.bincount(sample.species, minlength=len(network.elements))
            return (network.last_features(state, sample.species) - alone * counts[:, None]).ravel()

        precision = 0.0
        for sample in samples:
            if sample.energy is not None and scales.energy > 0:
                row = features(sample, np.zeros((len(sample), 3))) / (scales.energy * np.sqrt(len(sample)))
                precision = precision + np.outer(row, row)
            if sample.forces is None or not scales.forces > 0:
                continue
            for _ in range(DIRECTIONS):
                u = rng.standard_normal((len(sample), 3)) * STEP
                row = (features(sample, u) - features(sample, -u)) / (2 * STEP * scales.forces)
                precision = precision + np.outer(row, row) / DIRECTIONS
        values, vectors = np.linalg.eigh(precision)
        spread = 1.0 / np.sqrt(np.maximum(values, 0.0) + PRIOR * values.mean())
        draws = rng.standard_normal((DRAWS, len(values))) * spread @ vectors.T
        return draws.reshape(DRAWS, *alone.shape)

    def _calibrated(self, weights, draws, structures):
        """Draws scaled so that one standard deviation holds its share of the forces' errors; the energies' factor."""
        problem, chosen = self._problem, structures[:: max(1, len(structures) // CALIBRATED)]
        potential = Potential(problem.model, weights, problem.baseline, {}, draws)
        judged = compare(potential, chosen, problem.n_threads, uncertain=len(chosen)).judged()
        scale = {kind: float(np.quantile(abs(error) / np.maximum(sigma, 1e-300), ONE_SIGMA))
                 for kind, (error, sigma) in judged.items()}
        forces = scale.get("forces", scale.get("energy", 1.0))
        return draws * forces, scale.get("energy", forces) / forces


def charge_scales(samples, weights):
    """Divisors of dipoles (e·Å) and of reference charges (e): their spread, each set as heavy as one atom's forces."""
    result = []
    for kind, weight in (("dipole", weights.dipole), ("charges", weights.charges)):
        known = [getattr(s, kind) for s in samples if getattr(s, kind) is not None]
        spread = float(np.sqrt(np.mean(np.hstack([k.ravel() for k in known]) ** 2))) if known else 0.0
        size = np.mean([len(s) for s in samples]) if kind == "dipole" else 1.0
        result.append(spread / np.sqrt(size * weight) if weight else 0.0)
    return result
