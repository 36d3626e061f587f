"""Training of a ridge head: one regularised least-squares problem."""

from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from ase_lode.features.representation import Representation
from ase_lode.training.fit import Fitter
from ase_lode.training.rows import KINDS, RowMaker


@dataclass(frozen=True)
class Trained:
    """What a head's training gives.

    Attributes
    ----------
    weights, posterior, ranges
        As `Potential` takes them.
    baseline : Baseline
    header, report : dict
        What the card and the report say of the training.
    """

    weights: np.ndarray
    baseline: object
    posterior: np.ndarray | None
    ranges: tuple
    header: dict
    report: dict


class RidgeTraining:
    """Rows of all structures, one solve, and draws from the posterior.

    Parameters
    ----------
    config : TrainConfig
    model : ModelConfig
        Complete and resolved.
    data : Data
    baseline : Baseline
    scales : Scales
        Divisors of the residuals.
    directory : Path
        Where results go; nothing of a ridge fit needs to be kept there on the way.
    n_threads : int
    """

    def __init__(self, config, model, data, baseline, scales, directory, n_threads):
        self._config, self._model, self._data, self._n_threads = config, model, data, n_threads
        self._representation = Representation(model)
        self._maker = RowMaker(self._representation, model.elements, baseline, scales, n_threads)

    def plan(self):
        """Size of the problem."""
        return {"rows": int(sum(self._maker.count(s) for s in self._data.train)), "columns": int(self._maker.n_columns),
                "features_per_element": int(self._representation.n_features)}

    def fit(self, progress):
        """Solve.

        Returns
        -------
        Trained
        """
        config, model, maker = self._config, self._model, self._maker
        free = model.baseline.reference_energies == "fit"
        label_weights = {kind: getattr(config.weights, kind) for kind in KINDS}
        fitter = Fitter(maker, label_weights, model.head.regularisation, free, config.seed, progress)
        with threadpool_limits(self._n_threads):
            fit = fitter.fit(self._data.train, self._data.held)
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
        for structure in self._data.train:
            environments = representation.compute(structure.system, n_threads=self._n_threads)
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
