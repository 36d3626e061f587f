"""Training of a ridge head: one regularised least-squares problem."""

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from ase_lode.features.representation import Representation
from ase_lode.training.fit import Fitter
from ase_lode.training.problem import Trained
from ase_lode.training.rows import KINDS, RowMaker


class RidgeTraining:
    """Rows of all structures, one solve, and draws from the posterior.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem):
        self._problem = problem
        self._representation = Representation(problem.model)
        self._maker = RowMaker(self._representation, problem.model.elements, problem.baseline, problem.scales,
                               problem.n_threads)

    def plan(self):
        """Size of the problem."""
        rows = sum(self._maker.count(s) for s in self._problem.data.train)
        return {"rows": int(rows), "columns": int(self._maker.n_columns),
                "features_per_element": int(self._representation.n_features)}

    def fit(self, progress):
        """Solve.

        Returns
        -------
        Trained
        """
        config, model, data, maker = self._problem.config, self._problem.model, self._problem.data, self._maker
        free = model.baseline.reference_energies == "fit"
        label_weights = {kind: getattr(config.weights, kind) for kind in KINDS}
        fitter = Fitter(maker, label_weights, model.head.regularisation, free, config.seed, progress)
        with threadpool_limits(self._problem.n_threads):
            fit = fitter.fit(data.train, data.held)
        shape, features = (len(model.elements), self._representation.n_features), maker.n_features
        baseline = replace(maker.baseline, energies=maker.baseline.energies + fit.weights[features:])
        posterior = (fit.weights + fit.draws)[:, :features].reshape(-1, *shape).astype(np.float32)
        header = {"training": {"regularisation": fit.strength, "chosen_on": fit.chosen_on},
                  "uncertainty": {"energy_factor": fit.energy_factor}}
        report = {"regularisation": fit.strength, "regularisation_chosen_on": fit.chosen_on,
                  "same_model": {"with_fields": fit.errors, "without_fields": fit.errors_without_fields},
                  "learning_curve": fit.curve}
        return Trained(fit.weights[:features].reshape(shape), baseline, posterior, self._ranges(), header, report)

    def clean(self):
        """Nothing was left on the way."""

    def _ranges(self):
        """Smallest and largest coefficients at l = 0 by element, each (elements, channels): inside is interpolation."""
        representation = self._representation
        lower = np.full((len(representation.elements), representation.layout.width), np.inf)
        upper = -lower
        for structure in self._problem.data.train:
            environments = representation.compute(structure.system, n_threads=self._problem.n_threads)
            widen(lower, upper, environments.species, environments.coefficients[:, 0])
        return finite(lower, upper)


def widen(lower, upper, species, values):
    """Let the ranges by element, each (elements, columns), hold the values of some atoms, (atoms, columns)."""
    np.minimum.at(lower, species, values)
    np.maximum.at(upper, species, values)


def finite(lower, upper):
    """The ranges with 0 where nothing was met."""
    seen = np.isfinite(lower)
    return np.where(seen, lower, 0.0), np.where(seen, upper, 0.0)
