"""Ridge problems of tensors with many columns: solved over their rows (a kernel), or over their columns."""

import numpy as np

from ase_lode.errors import DataError
from ase_lode.training.fit import lowest
from ase_lode.training.normal import NormalEquations

#: Strengths to choose from, relative to the mean square of a row's features.
STRENGTHS = tuple(10.0**e for e in range(-8, 1))
START = 1e-3
#: A decade weaker must lower the error by this share.
DECADE_PRICE = 0.01
#: Rows multiplied at once, in bytes.
BLOCK_BYTES = 2e8


def chosen(solve, error, given):
    """The strength whose error on held rows, with the price of weakness, is smallest, and its solution.

    Parameters
    ----------
    solve : callable
        Solution for a strength; raises DataError where rounding makes the equations singular.
    error : callable
        Root mean square error of a solution on the held rows.
    given : float or None
        Strength that is given.
    """
    solutions = {}

    def value(strength):
        solutions[strength] = solve(strength)
        return error(solutions[strength]) * 10 ** (-DECADE_PRICE * np.log10(strength))

    strength = given if given is not None else lowest(value, STRENGTHS, START)
    return strength, solutions[strength] if strength in solutions else solve(strength)


class OverRows:
    """(K + strength) a = y with K = Σ_o X_o X_oᵀ / mean square of order o, weights X_oᵀ a; for few rows.

    Parameters
    ----------
    problem : TargetFit
    orders : list of str
        Parts of the columns, each as strong as the others.
    fitted, held : list of Prepared
        What is fitted while the strength is chosen, and what chooses it.
    refit : bool
        Whether to fit both in the end.
    """

    def __init__(self, problem, orders, fitted, held, refit):
        self.problem, self.orders, self.refit = problem, orders, refit
        self.n_fitted, self.structures = len(fitted), fitted + held

    def solve(self, targets, given, progress, label):
        """Weights by order, and the strength.

        Parameters
        ----------
        targets : list of array
            Of each structure, weighted.
        given : float or None
            Strength that is given.
        """
        size = len(targets[0])
        y, n_fitted = np.concatenate(targets), self.n_fitted * size
        kernel, scales = self._kernel(size, n_fitted, progress, label)

        def error(dual):
            return rms(kernel[n_fitted:, :n_fitted] @ dual - y[n_fitted:])

        strength, dual = chosen(lambda strength: _kernel_solution(kernel, strength, y, n_fitted), error, given)
        if self.refit:
            dual = _kernel_solution(kernel, strength, y, len(y))
        return self._weights(dual, size, scales), strength

    def _kernel(self, size, n_fitted, progress, label):
        from scipy.linalg.blas import dsyrk

        n = size * len(self.structures)
        kernel, scales = np.zeros((n, n)), {}
        for order in self.orders:
            part = np.zeros((n, n), order="F")
            for s in progress.track(range(self.problem.n_elements), f"{label}, kernel"):
                rows = self._rows(order, s, size)
                dsyrk(1.0, rows.T, beta=1.0, c=part, trans=1, lower=1, overwrite_c=1)
            scales[order] = 1 / max(np.mean(part.diagonal()[:n_fitted]), 1e-300)
            kernel += scales[order] * part
        lower = np.tril_indices(n, -1)
        kernel.T[lower] = kernel[lower]
        return kernel, scales

    def _rows(self, order, s, size):
        return np.concatenate([self.problem.weight(one) * self.problem.rows(one, order, s)
                               for one in self.structures]).reshape(size * len(self.structures), -1)

    def _weights(self, dual, size, scales):
        result, n = {}, len(dual)
        for order in self.orders:
            found = [scales[order] * (self._rows(order, s, size)[:n].T @ dual) for s in range(self.problem.n_elements)]
            result[order] = np.array(found).reshape(self.problem.n_elements, self.problem.features.n_gates, -1)
        return result


def _kernel_solution(kernel, strength, y, count):
    """Coefficients of the first `count` rows; DataError where rounding makes the equations singular."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    matrix = kernel[:count, :count].copy()
    matrix.flat[:: count + 1] += strength * np.mean(matrix.diagonal())
    try:
        return cho_solve(cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False), y[:count])
    except LinAlgError:
        raise DataError("The equations are singular at this regularisation; set response.regularisation ten times "
                        "larger.") from None


def rms(errors):
    """Root mean square; 0 of nothing."""
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else 0.0


class OverColumns:
    """(XᵀX + strength x mean square) w = Xᵀy; for many rows.

    Parameters as in `OverRows`, and

    elements : sequence of int
        Centre elements whose columns there are.
    """

    def __init__(self, problem, orders, fitted, held, refit, elements):
        self.problem, self.orders, self.fitted, self.held, self.refit = problem, orders, fitted, held, refit
        self.elements = elements

    def solve(self, targets, given, progress, label):
        """See `OverRows.solve`."""
        targets = dict(zip(map(id, self.fitted + self.held), targets))
        equations = None
        for block in progress.track(list(self._blocks()), f"{label}, equations"):
            rows = self._stack(block)
            equations = equations or NormalEquations(rows.shape[1])
            equations.add(rows, np.concatenate([targets[id(one)] for one in block]))
        rows, y = self._stack(self.held), np.concatenate([targets[id(one)] for one in self.held])
        n_rows = sum(len(targets[id(one)]) for one in self.fitted)
        penalty = np.concatenate([np.full(stop - start, equations.diagonal[start:stop].sum() / max(n_rows, 1))
                                  for start, stop in self._parts()])
        penalty = np.maximum(penalty, 1e-300)
        strength, solution = chosen(lambda strength: equations.solve(strength, penalty),
                                    lambda solution: rms(rows @ solution - y), given)
        if self.refit:
            equations.add(rows, y)
            solution = equations.solve(strength, penalty)
        return self._weights(solution), strength

    def _blocks(self):
        """Consecutive structures whose rows fit into a block."""
        block, used = [], 0
        columns = self._parts()[-1][1]
        for one in self.fitted:
            block.append(one)
            used += 8 * columns * (5 * len(one) if self.problem.per_atom else 5)
            if used > BLOCK_BYTES:
                yield block
                block, used = [], 0
        if block:
            yield block

    def _parts(self):
        """Columns of every order."""
        widths = [len(self.elements) * self.problem.features.n_gates * self.problem.features.equivariants[o].n_features
                  for o in self.orders]
        ends = np.cumsum(widths)
        return list(zip(ends - widths, ends))

    def _stack(self, structures):
        return np.concatenate([self.problem.weight(one) * np.concatenate(
            [self.problem.rows(one, order, s) for order in self.orders for s in self.elements], axis=1)
            for one in structures])

    def _weights(self, solution):
        features = self.problem.features
        result = {}
        for order, (start, stop) in zip(self.orders, self._parts()):
            found = np.zeros((self.problem.n_elements, features.n_gates, features.equivariants[order].n_features))
            found[list(self.elements)] = solution[start:stop].reshape(len(self.elements), features.n_gates, -1)
            result[order] = found
        return result
