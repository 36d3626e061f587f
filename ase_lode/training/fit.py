"""From weighted rows to weights: regularisation chosen on data not fitted, a posterior, and two comparisons."""

import math
from dataclasses import dataclass, field

import numpy as np

from ase_lode.errors import DataError
from ase_lode.training.normal import NormalEquations
from ase_lode.training.orthogonal import Orthogonal
from ase_lode.training.rows import KINDS, Stack

#: Strengths to choose from, relative to the mean square of a column: below 1e-10 normal equations drown in rounding.
NORMAL_STRENGTHS = tuple(10.0**e for e in range(-10, 0))
START_STRENGTH = 1e-8
ORTHOGONAL_STRENGTHS = tuple(10.0**e for e in range(-16, 1))
#: A decade weaker must lower the errors by this share, see `score`. On dipeptides the errors fall by 4 % a decade from
#: 1e-4 to 1e-10, and meanwhile a relaxation that converges and 500 K that stay whole become explosions within 0.1 ps.
DECADE_PRICE = 0.06
#: One structure alone is fitted to rounding.
EXACT_STRENGTH = 1e-20
#: Up to this many rows singular values are taken; leaving out structures costs the cube of the rows of each.
ORTHOGONAL_ROWS = 2000
#: Bytes of the block of rows that is multiplied at once, and of held-back rows kept in memory.
BLOCK_BYTES, HELD_BYTES = 2e8, 7e8
#: Fewer validation structures than this do not choose the regularisation: the energy of one may be right by chance.
#: Chosen by one, that of `water-npt` was so weak that the liquid exploded at 340 K within 3 ps.
FEW = 5
#: Group number of the composition's columns.
COMPOSITION = -1
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
        Deviations from the weights, drawn from the posterior given the reference energies, and scaled so that forces
        have the right coverage.
    energy_factor : float
        Factor that gives energies the right coverage too.
    without_fields : array, shape (columns,), or None
        Weights of the same model without its far fields.
    chosen_on : str
        What chose the regularisation.
    errors, errors_without_fields : dict
        Errors by label on the structures that chose it, in eV/atom, eV/Å, eV/Å³.
    curve : list of dict
        The same by number of training structures.
    """

    weights: np.ndarray
    strength: float
    draws: np.ndarray
    energy_factor: float
    without_fields: np.ndarray | None
    chosen_on: str
    errors: dict
    errors_without_fields: dict | None
    curve: list = field(default_factory=list)


def score(errors, weights, strength):
    """What the choice of the strength minimises.

    The weighted mean of log errors, so that each label counts by its own size, and a small price for every decade of
    weakness: where errors hardly change, smaller weights mean less rounding and tamer extrapolation.
    """
    used = {kind: weights[kind] for kind in errors if weights[kind] > 0}
    mean = sum(weight * math.log(max(errors[kind], 1e-300)) for kind, weight in used.items()) / sum(used.values())
    return mean - DECADE_PRICE * math.log10(strength)


def left_out(count):
    """How many of the training structures choose the regularisation where validation structures are too few."""
    return max(1, count // 10, min(FEW, count // 3))


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
        if best == at and math.isinf(value(at)) and at + 1 < len(grid):
            best = at + 1
        if best == at:
            return grid[at]
        at = best


@dataclass(frozen=True)
class _Solution:
    problem: Orthogonal
    penalty: np.ndarray
    strength: float
    weights: np.ndarray
    errors: dict


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
    free_energies : bool
        Whether the reference energies may follow the data.
    seed : int
        Of the order of structures, internal splits and posterior draws.
    progress : Progress, optional
        Where to report.
    """

    def __init__(self, maker, weights, regularisation=None, free_energies=True, seed=0,
                 progress=None):
        self.maker = maker
        self.label_weights = weights
        self.regularisation = regularisation
        self.free_energies = free_energies
        self.rng = np.random.default_rng(seed)
        self.progress = progress
        n_elements = len(maker.elements)
        features = np.tile(maker.representation.feature_groups, n_elements)
        self.groups = np.concatenate([features, np.full(n_elements, COMPOSITION)])
        far = [index for index, name in enumerate(maker.representation.group_names) if "field" in name]
        self.near = ~np.isin(self.groups, far)

    def fit(self, structures, held):
        """Fit to `structures`; `held` chooses the regularisation if it has enough of them.

        Returns
        -------
        Fit
        """
        n_rows = sum(self.maker.count(s) for s in structures)
        small = n_rows <= ORTHOGONAL_ROWS or len(structures) == 1
        order = [structures[k] for k in self.rng.permutation(len(structures))]
        return self._fit_in_memory(order, held) if small else self._fit_in_blocks(order, held)

    def _penalty(self, mean_squares, near_only=False):
        result = penalties(mean_squares, self.groups)
        result[self.groups == COMPOSITION] *= COMPOSITION_PENALTY * self.free_energies
        return result * self.near if near_only else result

    def _features_only(self, penalty):
        """Without the composition: given the reference energies, features tell how uncertain energies are."""
        return np.where(self.groups == COMPOSITION, 0.0, penalty)

    def _noise(self):
        return self.rng.standard_normal((DRAWS, self.maker.n_columns))

    def _has_near_and_far(self):
        return not self.near.all() and self.near[self.groups != COMPOSITION].any()

    # --- few rows: singular values -------------------------------------------------------------------------------

    def _fit_in_memory(self, structures, held):
        stack = self.maker.stack(structures, self.progress, "rows")
        back = self.maker.stack(held, self.progress, "rows held back") if held else None
        n = len(structures)
        final = self._solved(stack, n, back)
        problem = Orthogonal(stack.rows, stack.targets, self._features_only(final.penalty))
        draws = problem.deviations(final.strength, self._noise())
        if back is not None and len(held) >= FEW:
            judged, chosen_on = back, "validation"
            residuals, sigma = back.residuals(final.weights), _spread(back.rows, draws)
        else:
            judged, chosen_on = stack, "leave-one-out" if n > 1 else "nothing: one structure is fitted exactly"
            residuals = final.problem.leave_out(final.strength, stack.first)[0] if n > 1 else None
            sigma = problem.leave_out(final.strength, stack.first)[1] if n > 1 else None
        draws, factor = _calibrated(draws, residuals, sigma, judged.kinds)
        near = self._solved(stack, n, back, near_only=True) if self._has_near_and_far() else None
        stages = {count: final if count == n else self._solved(stack, count, back)
                  for count in (_stages(n) if back is not None else [])}
        curve = [{"structures": count, **back.rmse(back.residuals(part.weights))} for count, part in stages.items()]
        return Fit(final.weights, final.strength, draws, factor, near and near.weights, chosen_on, final.errors,
                   near and near.errors, curve)

    def _solved(self, stack, count, back, near_only=False):
        """Solution for the first `count` structures, its strength chosen by `back` or by leaving each one out."""
        if self.progress:
            self.progress.say(f"solving for {count} structures{', without the fields' * near_only}")
        end = stack.first[count]
        rows, targets, first = stack.rows[:end], stack.targets[:end], stack.first[:count + 1]
        part = Stack(rows, targets, stack.kinds[:end], stack.units[:end], first)
        penalty = self._penalty((rows**2).sum(axis=0), near_only)
        problem = Orthogonal(rows, targets, penalty)

        def errors(strength):
            if back is not None and len(back.first) > FEW:
                return back.rmse(back.residuals(problem.solve(strength)))
            return part.rmse(problem.leave_out(strength, first)[0]) if count > 1 else {}

        if self.regularisation is not None:
            strength = self.regularisation
        elif count == 1:
            strength = float(EXACT_STRENGTH * problem.values[0] ** 2)
        else:
            strength = min(ORTHOGONAL_STRENGTHS, key=lambda s: score(errors(s), self.label_weights, s))
        return _Solution(problem, penalty, strength, problem.solve(strength), errors(strength))

    # --- many rows: normal equations -----------------------------------------------------------------------------

    def _fit_in_blocks(self, structures, held):
        internal = len(held) < FEW
        if internal:
            held = structures[-left_out(len(structures)):]
            structures = structures[:-len(held)]
        back = self._held(held)
        equations = NormalEquations(self.maker.n_columns)
        blocks = self._accumulate(equations, structures)
        curve, strength = [], self.regularisation or START_STRENGTH
        for count in _stages(len(structures)):
            next(blocks)
            penalty = self._penalty(equations.diagonal)
            search = self.regularisation is None and (count == len(structures) or not curve)
            strength, weights = self._chosen(equations, penalty, back, [strength] if not search else NORMAL_STRENGTHS,
                                             strength)
            curve.append({"structures": count, **back.rmse(back.residuals(weights))})
        next(blocks, None)
        equations.solve(strength, self._features_only(penalty))
        draws = equations.deviations(self._noise())
        draws[:, self.maker.n_features:] = 0.0  # columns that were not solved for carry plain noise
        draws, factor = _calibrated(draws, back.residuals(weights), _spread(back.rows, draws), back.kinds)
        near = None
        if self._has_near_and_far():
            near = equations.solve(strength, self._penalty(equations.diagonal, near_only=True))
        errors = back.rmse(back.residuals(weights))
        if internal:
            equations.add(back.rows, back.targets)
            weights = equations.solve(strength, self._penalty(equations.diagonal))
        chosen_on = "training structures left out, fitted afterwards" if internal else "validation"
        if self.regularisation is not None:
            chosen_on = "given"
        return Fit(weights, strength, draws, factor, near, chosen_on, errors,
                   None if near is None else back.rmse(back.residuals(near)), curve)

    def _chosen(self, equations, penalty, back, strengths, start):
        """The best of some strengths, and its weights."""
        solutions = {}

        def value(strength):
            solutions[strength] = equations.solve(strength, penalty)
            return score(back.rmse(back.residuals(solutions[strength])), self.label_weights, strength)

        best = lowest(value, strengths, start)
        return best, solutions[best] if best in solutions else equations.solve(best, penalty)

    def _held(self, held):
        """Rows of as many held-back structures, evenly chosen, as memory is set aside for."""
        size = sum(self.maker.count(s) for s in held) * self.maker.n_columns * 8
        stride = max(1, math.ceil(size / HELD_BYTES))
        return self.maker.stack(held[::stride], self.progress, "rows held back")

    def _accumulate(self, equations, structures):
        """Add structures block by block; yields at every stage of the learning curve."""
        n_columns = self.maker.n_columns
        largest = max(self.maker.count(s) for s in structures)
        rows = np.empty((max(largest, int(BLOCK_BYTES / (8 * n_columns))), n_columns))
        targets = np.empty(len(rows))
        waiting, used, stages = [], 0, set(_stages(len(structures)))
        items = self.progress.track(structures, "rows and equations") if self.progress else structures
        for index, structure in enumerate(items, start=1):
            waiting.append(structure)
            used += self.maker.count(structure)
            full = index == len(structures) or used + self.maker.count(structures[index]) > len(rows)
            if full or index in stages:
                self.maker.fill(waiting, rows[:used], targets[:used])
                equations.add(rows[:used], targets[:used])
                waiting, used = [], 0
            if index in stages:
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
