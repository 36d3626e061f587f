"""Training of a network head: minimise the loss, solve what it is linear in, and draw that from its posterior."""

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from ase_lode.errors import DataError
from ase_lode.models.network import Network
from ase_lode.models.potential import Potential
from ase_lode.training.committee import taught
from ase_lode.training.dataset import sha256
from ase_lode.training.last_layers import LastLayers
from ase_lode.training.metrics import compare
from ase_lode.training.network import Loss, density_ranges, initial, make_samples
from ase_lode.training.optimise import Optimiser, digest
from ase_lode.training.problem import Trained

#: Tolerance of the fields on the particle mesh.
TOLERANCE = 1e-5
#: Of checkpoints: changes with what they hold.
VERSION = 2
#: Learning rate of a potential taught by a committee, relative to that of the member from which it starts.
PUPIL = 1 / 3
#: Draws from the posterior of what energies are linear in.
DRAWS = 16
#: Structures on which uncertainties are scaled, and the share of errors that one standard deviation holds.
CALIBRATED, ONE_SIGMA = 40, 0.6827


class NetworkTraining:
    """Optimises a network with checkpoints, solves what it is linear in and adds its calibrated posterior.

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
        """Size of the problem.

        Raises
        ------
        DataError
            A committee is asked for and no structure has forces.
        """
        if self._problem.model.head.committee and all(s.forces is None for s in self._problem.data.train):
            raise DataError("A committee needs forces to find structures; name data.train.forces and give it a weight, "
                            "or set head.committee: 0.")
        return {"parameters": self._network.n_parameters}

    @threadpool_limits.wrap(limits=1)  # of matrix products, or their sums, and so the last bits, depend on the machine
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

        free_references = problem.model.baseline.reference_energies == "fit"

        def optimised(member, settings=head, lessons=(), start=None):
            row, sizes = initial(network, train, seed + member)
            optimiser = Optimiser(network, settings, loss, [*train, *lessons], held, sizes, seed + member, progress,
                                  free_references)
            return optimiser.run(row if start is None else start.copy(), self._checkpoint(member), self._key(member))

        members = []
        for member in range(1, head.committee + 1):
            progress.say(f"member {member} of the committee")
            members.append(optimised(member)[0])
        if members:
            slower = head.model_copy(update={"learning_rate": PUPIL * head.learning_rate})
            row, history = optimised(0, slower, taught(network, members, train, progress, seed), members[0])
        else:
            row, history = optimised(0)
        last = LastLayers(network, row, train, loss.spreads, seed, problem.n_threads, free_references)
        last.solve(held, progress)
        weights, references = np.split(last.row, [network.n_parameters])
        baseline = replace(problem.baseline, energies=problem.baseline.energies + references)
        posterior, factor = self._calibrated(weights, baseline, last.draws(DRAWS), data.held or data.train, progress)
        header = {"training": {"steps": head.steps, "committee": head.committee},
                  "uncertainty": {"energy_factor": factor}}
        return Trained(weights, baseline, posterior, density_ranges(network, train), header, {"history": history})

    def clean(self):
        """Remove the checkpoints of the finished run."""
        for member in range(self._problem.model.head.committee + 1):
            self._checkpoint(member).unlink(missing_ok=True)

    def _key(self, member):
        """What a checkpoint must agree in: everything that decides the run."""
        config, model = self._problem.config, self._problem.model.model_dump(mode="json")
        decisive = {"seed", "data", "weights"} | ({"targets"} if config.targets else set())
        settings = {"version": VERSION, "member": member, "model": model, "files": sha256(self._problem.data.paths),
                    **config.model_dump(mode="json", include=decisive)}
        return digest(settings)

    def _calibrated(self, weights, baseline, draws, structures, progress):
        """Draws scaled so that one standard deviation holds its share of the forces' errors; the energies' factor."""
        problem = self._problem
        chosen = [replace(one, response={}) for one in structures[:: max(1, len(structures) // CALIBRATED)]]
        potential = Potential(problem.model, weights, baseline, {}, draws)
        judged = compare(potential, chosen, problem.n_threads, uncertain=len(chosen)).judged()
        scale = {kind: float(np.quantile(abs(error[sigma > 0]) / sigma[sigma > 0], ONE_SIGMA))
                 for kind, (error, sigma) in judged.items() if (sigma > 0).any()}
        if not scale:
            progress.say("uncertainties are zero: nothing that energies are made of changes with the structures; take "
                         "a smaller head.learning_rate or another seed")
        forces = scale.get("forces", scale.get("energy", 1.0)) or 1.0
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
