"""From weighted rows to weights: regularisation chosen on data not fitted, a posterior, and two comparisons."""

import math
from dataclasses import dataclass, field

import numpy as np

from ase_lode.errors import DataError
from ase_lode.training.normal import NormalEquations
from ase_lode.training.orthogonal import Orthogonal
from ase_lode.training.rows import KINDS

#: Strengths to choose from, relative to the mean square of a column: below 1e-10 normal equations drown in rounding.
NORMAL_STRENGTHS = tuple(10.0**e for e in range(-10, 0))
ORTHOGONAL_STRENGTHS = tuple(10.0**e for e in range(-16, 1))
#: One structure alone is fitted to rounding.
EXACT_STRENGTH = 1e-20
#: Singular values are taken when the rows fit into this many bytes and one side is no longer than this.
ORTHOGONAL_BYTES, ORTHOGONAL_SIDE = 3e8, 2000
#: Bytes of the block of rows that is multiplied at once, and of held-back rows kept in memory.
BLOCK_BYTES, HELD_BYTES = 2e8, 7e8
#: Fewer validation structures than this do not choose the regularisation.
FEW = 5
#: Penalty of the composition's columns relative to their mean square: reference energies follow the data freely.
COMPOSITION_PENALTY = 1e-4
#: Weight vectors drawn from the posterior.
DRAWS = 32
#: Share of errors that one standard deviation of a normal distribution covers.
ONE_SIGMA = 0.6827
#: Shares of the training structures in the learning curve.
CURVE = (1 / 8, 1 / 4, 1 / 2, 1.0)


@dataclass
class Fit:
    """Outcome of a fit.

    Attributes
    ----------
    weights : array, shape (columns,)
        Of the features by element, then corrections of the reference energies.
    strength : float
        Regularisation.
    draws : array, shape (draws, columns)
        Deviations from the weights, drawn from the posterior and scaled so that forces have the right coverage.
    energy_factor : float
        Factor that gives energies the right coverage too.
    without_fields : array, shape (columns,), or None
        Weights of the same model without its far fields.
    curve : list of dict
        Errors on held-back structures by number of training structures.
    chosen_on : str
        What chose the regularisation.
    """

    weights: np.ndarray
    strength: float
    draws: np.ndarray
    energy_factor: float
    without_fields: np.ndarray | None
    chosen_on: str
    curve: list = field(default_factory=list)


@dataclass(frozen=True)
class Held:
    """Rows kept back from the fit."""

    rows: np.ndarray
    targets: np.ndarray
    kinds: np.ndarray

    def errors(self, weights):
        """Root mean square per kind, in units of the scales."""
        return root_mean_squares(self.rows @ weights - self.targets, self.kinds)


def root_mean_squares(errors, kinds):
    """Of the errors of each kind of rows that occurs."""
    return {KINDS[k]: float(np.sqrt(np.mean(errors[kinds == k] ** 2))) for k in np.unique(kinds)}


def score(errors, weights):
    """What regularisation minimises: the weighted mean of log errors, so that each label counts by its own size."""
    return sum(weights[kind] * math.log(max(value, 1e-300)) for kind, value in errors.items())


def penalties(mean_squares, groups):
    """Penalty of each column: the mean over its group (a pair of scales), 0 for columns without any signal.

    Within a group the decay of features towards high radial and angular numbers stays: it is the prior that the
    energy is smooth. Across groups, one strength then serves fields of any magnitude.
    """
    result = np.zeros(len(mean_squares))
    for group in np.unique(groups):
        member = (groups == group) & (mean_squares > 0)
        result[member] = mean_squares[member].mean() if member.any() else 0.0
    return result


def lowest(evaluate, grid, start):
    """Best point of a grid for a function with one minimum, walking from the point nearest `start`."""
    grid, known = sorted(grid), {}

    def value(index):
        if index not in known:
            try:
                known[index] = evaluate(grid[index])
            except DataError:  # too weak for the rounding of the equations
                known[index] = math.inf
        return known[index]

    at = min(range(len(grid)), key=lambda k: abs(math.log(grid[k] / start)))
    while True:
        near = [k for k in (at + 1, at - 1) if 0 <= k < len(grid)]
        best = min([at, *near], key=value)
        if best == at:
            return grid[at]
        at = best


class Fitter:
    """Fits one model to one training set.

    Parameters
    ----------
    maker : RowMaker
        Makes rows.
    weights : dict
        Weight of each label in the choice of the regularisation.
    regularisation : float, optional
        Strength to use instead of choosing one.
    seed : int
        Of the order of structures, internal splits and posterior draws.
    progress : Progress, optional
        Where to report.
    """

    def __init__(self, maker, weights, regularisation=None, seed=0, progress=None):
        self.maker = maker
        self.label_weights = weights
        self.regularisation = regularisation
        self.rng = np.random.default_rng(seed)
        self.progress = progress
        n_elements = len(maker.elements)
        features = np.tile(maker.representation.feature_groups, n_elements)
        self.groups = np.concatenate([features, np.full(n_elements, -1)])
        far = [index for index, name in enumerate(maker.representation.group_names) if "field" in name]
        self.near = ~np.isin(self.groups, far)

    def fit(self, structures, held):
        """Fit to `structures`; `held` chooses the regularisation if it has enough of them.

        Returns
        -------
        Fit
        """
        n_rows = sum(self.maker.count(s) for s in structures)
        columns = self.maker.n_columns
        small = n_rows * columns * 8 <= ORTHOGONAL_BYTES and min(n_rows, columns) <= ORTHOGONAL_SIDE
        small = small or len(structures) == 1
        order = [structures[k] for k in self.rng.permutation(len(structures))]
        return self._fit_in_memory(order, held) if small else self._fit_in_blocks(order, held)

    def _penalty(self, mean_squares, near_only=False):
        result = penalties(mean_squares, self.groups)
        result[self.groups == -1] *= COMPOSITION_PENALTY
        return result * self.near if near_only else result

    def _has_near_and_far(self):
        return not self.near.all() and self.near[self.groups >= 0].any()

    # --- few rows: singular values -------------------------------------------------------------------------------

    def _fit_in_memory(self, structures, held):
        rows, targets, kinds, first = self.maker.stack(structures, self.progress, "rows")
        back = Held(*self.maker.stack(held)[:3]) if held else None
        judge = back if len(held) >= FEW else None

        def solved(count, near_only=False):
            part = slice(0, first[count])
            penalty = self._penalty(np.mean(rows[part] ** 2, axis=0) * first[count], near_only)
            problem = Orthogonal(rows[part], targets[part], penalty)
            return problem, self._strength_in_memory(problem, kinds[part], first[:count + 1], judge)

        n = len(structures)
        problem, strength = solved(n)
        weights = problem.solve(strength)
        draws = problem.deviations(strength, self.rng.standard_normal((DRAWS, len(weights))))
        if judge is None:
            errors, sigma = problem.leave_out(strength, first) if n > 1 else (None, None)
        else:
            errors, sigma = judge.rows @ weights - judge.targets, _spread(judge.rows, draws)
        curve = []
        for count in _stages(n) if back else []:
            part = weights if count == n else (lambda p, s: p.solve(s))(*solved(count))
            curve.append({"structures": count, **back.errors(part)})
        without = (lambda p, s: p.solve(s))(*solved(n, near_only=True)) if self._has_near_and_far() else None
        draws, factor = _calibrated(draws, errors, sigma, kinds if judge is None else judge.kinds)
        return Fit(weights, strength, draws, factor, without, "validation" if judge else "leave-one-out", curve)

    def _strength_in_memory(self, problem, kinds, first, judge):
        if self.regularisation is not None:
            return self.regularisation
        if judge is None and len(first) == 2:
            return EXACT_STRENGTH * problem.values[0] ** 2

        def errors(strength):
            if judge is not None:
                return judge.errors(problem.solve(strength))
            return root_mean_squares(problem.leave_out(strength, first)[0], kinds)

        return min(ORTHOGONAL_STRENGTHS, key=lambda strength: score(errors(strength), self.label_weights))

    # --- many rows: normal equations -----------------------------------------------------------------------------

    def _fit_in_blocks(self, structures, held):
        internal = len(held) < FEW
        if internal:
            held = structures[-max(1, len(structures) // 10):]
            structures = structures[:-len(held)]
        back = self._held(held)
        equations = NormalEquations(self.maker.n_columns)
        blocks = self._accumulate(equations, structures)
        curve, strength = [], self.regularisation or 1e-6
        for count in _stages(len(structures)):
            next(blocks)
            last = count == len(structures)
            penalty = self._penalty(equations.diagonal)
            if self.regularisation is None and (last or not curve):
                strength = self._strength_in_blocks(equations, penalty, back, strength)
            weights = equations.solve(strength, penalty)
            curve.append({"structures": count, **back.errors(weights)})
        errors = back.rows @ weights - back.targets
        noise = self.rng.standard_normal((DRAWS, len(weights)))
        draws = equations.deviations(noise)
        draws, factor = _calibrated(draws, errors, _spread(back.rows, draws), back.kinds)
        without = self._without_fields(equations, back, strength) if self._has_near_and_far() else None
        if internal:
            equations.add(back.rows, back.targets)
            weights = equations.solve(strength, self._penalty(equations.diagonal))
        chosen = "a tenth of the training structures, fitted afterwards" if internal else "validation"
        return Fit(weights, strength, draws, factor, without, chosen, curve)

    def _strength_in_blocks(self, equations, penalty, back, start):
        def value(strength):
            return score(back.errors(equations.solve(strength, penalty)), self.label_weights)

        return lowest(value, NORMAL_STRENGTHS, start)

    def _without_fields(self, equations, back, strength):
        penalty = self._penalty(equations.diagonal, near_only=True)
        if self.regularisation is None:
            strength = self._strength_in_blocks(equations, penalty, back, strength)
        return equations.solve(strength, penalty)

    def _held(self, held):
        """Rows of as many held-back structures, evenly chosen, as memory is set aside for."""
        size = sum(self.maker.count(s) for s in held) * self.maker.n_columns * 8
        stride = max(1, math.ceil(size / HELD_BYTES))
        return Held(*self.maker.stack(held[::stride], self.progress, "rows held back")[:3])

    def _accumulate(self, equations, structures):
        """Add structures block by block; yields at every stage of the learning curve."""
        n_columns = self.maker.n_columns
        largest = max(self.maker.count(s) for s in structures)
        rows = np.empty((max(largest, int(BLOCK_BYTES / (8 * n_columns))), n_columns))
        targets = np.empty(len(rows))
        used, stages = 0, set(_stages(len(structures)))
        items = self.progress.track(structures, "rows and equations") if self.progress else structures
        for index, structure in enumerate(items, start=1):
            count = self.maker.count(structure)
            if used + count > len(rows):
                equations.add(rows[:used], targets[:used])
                used = 0
            self.maker.fill(structure, rows[used:used + count], targets[used:used + count])
            used += count
            if index in stages:
                equations.add(rows[:used], targets[:used])
                used = 0
                yield


def _stages(n):
    return sorted({max(1, round(share * n)) for share in CURVE})


def _spread(rows, draws):
    """Standard deviation of the predictions of `rows`, from deviations of the weights."""
    return np.sqrt(np.mean((rows @ draws.T) ** 2, axis=1))


def _calibrated(draws, errors, sigma, kinds):
    """Draws scaled so that one sigma covers the right share of force errors, and the further factor of energies."""
    factors = {}
    for k in np.unique(kinds) if errors is not None else []:
        use = (kinds == k) & (sigma > 0)
        if use.any():
            factors[KINDS[k]] = float(np.quantile(abs(errors[use]) / sigma[use], ONE_SIGMA))
    scale = factors.get("forces", factors.get("energy", 1.0)) or 1.0
    return draws * scale, factors.get("energy", scale) / scale
