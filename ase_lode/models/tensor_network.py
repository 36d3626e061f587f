"""Tensors of atoms by a network: the numbers that it reads off its passes weigh vectors and tensors of its channels."""

from dataclasses import dataclass

import numpy as np

from ase_lode.features.equivariants import ORDERS, clebsch_gordan
from ase_lode.models.two_passes import TwoPasses

#: What a tensor of each order is made of, by channel: that channel at l = λ, or the product of channels at l and l' of
#: which the second stands so many places further. Axial vectors take two channels, since one alone has none.
TERMS = {"0": [], "1": [(1,), (1, 2, 0)], "2": [(2,), (1, 1, 0)], "axial": [(1, 1, 1), (2, 2, 1)]}


@dataclass(frozen=True)
class Readout:
    """How a tensor is read off a pass.

    Attributes
    ----------
    key : (str, str)
        Target and order.
    first : int
        Its first column of what is read off.
    terms : list of tuple
        Of `TERMS`, those whose l the channels have; none is a scalar, itself a column.
    """

    key: tuple
    first: int
    terms: list


class TensorNetwork(TwoPasses):
    """Tensors T_i = Σ_passes Σ_k (a_ik x_ik,λm + b_ik (x_ik ⊗ x_ik)_λm) / n of every atom, of n terms.

    The perceptrons give a and b, and scalars at once.

    Parameters
    ----------
    model : ModelConfig
        With `head.type: network`, all defaults resolved and elements listed.
    tolerance : float
        Relative error of the fields and their first derivatives.
    targets : dict of str to list of str
        Orders of every target, by the names of `ORDERS`.

    Raises
    ------
    ValueError
        The channels end before an order that is wanted.
    """

    def __init__(self, model, tolerance, targets):
        self.readouts, count = [], 0
        for target, orders in sorted(targets.items()):  # the order in which a file lists them
            for order in orders:
                terms = [term for term in TERMS[order] if max(term[:2]) <= model.density.max_angular]
                if TERMS[order] and not terms:
                    needed = min(max(term[:2]) for term in TERMS[order])
                    raise ValueError(f"{target} needs a density of max_angular {needed}")
                self.readouts.append(Readout((target, order), count, terms))
                count += len(terms) * model.head.channels or 1
        super().__init__(model, tolerance, count)

    def compute(self, parameters, graph, wanted=None, n_threads=1):
        """Tensors of every atom by target and order, all or those wanted, (atoms, 2λ + 1), and what `pull_back` needs.
        """
        outputs, more, _, state = self.through(parameters, graph, n_threads)
        read = [(outputs[:, self._read:], _Products(state.first[1])), (more, _Products(state.second[1]))]
        tensors = {one.key: sum(self._tensor(one, *part) for part in read) for one in self.readouts
                   if wanted is None or one.key in wanted}
        return tensors, (state, read)

    def pull_back(self, parameters, state, d_tensors, d_parameters=None, need_gradient=True, n_threads=1):
        """Derivatives of Σ d_tensors · tensors; see `TwoPasses.back`.

        Parameters
        ----------
        d_tensors : dict of (str, str) to array, shape (atoms, 2λ + 1)
        """
        inner, read = state
        d_read, d_channels = zip(*(self._pull_tensors(d_tensors, *part) for part in read))
        d_read = d_read[0][:, :self.n_readouts], d_read[1]
        return self.back(parameters, inner, d_read, d_channels, None, d_parameters, need_gradient, n_threads)

    def rescale(self, parameters, target, size, base):
        """Multiply the tensors of a target by `size`, then add `base`, (elements,) or None, to order 0; in place."""
        last = self.depth - 1
        for one in (one for one in self.readouts if one.key[0] == target):
            count = len(one.terms) * self.channels or 1
            for part, start in zip(self.passes, (self._read, 0)):
                columns = slice(start + one.first, start + one.first + count)
                for name in (f"weights{last}", f"bias{last}", "direct"):
                    parameters[f"{part.name}.{name}"][..., columns] *= size
            if one.key[1] == "0" and base is not None:
                parameters[f"{self.passes[1].name}.bias{last}"][:, one.first] += base

    def _share(self, one):
        """By what the terms of a tensor are multiplied.

        They grow together, so that steps fit for one number are too large for their sum: without it the loss of QM7b's
        tensors rose by powers of ten in the first 2,000 steps.
        """
        return 1 / (len(one.terms) * self.channels)

    def _columns(self, one, number):
        start = one.first + number * self.channels
        return slice(start, start + self.channels)

    def _tensor(self, one, read, products):
        """One tensor's part of one pass."""
        if not one.terms:
            return read[:, one.first, None]
        return self._share(one) * sum(
            np.matmul(products.of(term, one.key[1]), read[:, self._columns(one, number), None])[:, :, 0]
            for number, term in enumerate(one.terms))

    def _pull_tensors(self, d_tensors, read, products):
        """d/d(what is read off) and d/d(channels) of one pass."""
        d_read, d_channels = np.zeros_like(read), np.zeros_like(products.channels)
        for one in self.readouts:
            d_tensor = d_tensors.get(one.key)
            if d_tensor is None:
                continue
            if not one.terms:
                d_read[:, one.first] += d_tensor[:, 0]
                continue
            d_tensor = self._share(one) * d_tensor
            for number, term in enumerate(one.terms):
                columns = self._columns(one, number)
                d_read[:, columns] += np.matmul(d_tensor[:, None], products.of(term, one.key[1]))[:, 0]
                products.pull_back(term, one.key[1], d_tensor[:, :, None] * read[:, None, columns], d_channels)
        return d_read, d_channels


class _Products:
    """Tensors made of the channels of one pass, each computed once."""

    def __init__(self, channels):
        self.channels, self._known = channels, {}

    def _part(self, l, shift=0):
        part = self.channels[:, l * l:(l + 1) ** 2]
        return np.roll(part, -shift, axis=2) if shift else part

    def of(self, term, order):
        """Shape (atoms, 2λ + 1, channels)."""
        if (term, order) not in self._known:
            self._known[term, order] = self._part(*term) if len(term) == 1 else self._product(term, order)
        return self._known[term, order]

    def _product(self, term, order):
        left, right = self._part(term[0]), self._part(*term[1:])
        pairs = (left[:, :, None] * right[:, None]).reshape(len(left), -1, left.shape[2])
        return np.matmul(_table(term, order), pairs)

    def pull_back(self, term, order, d_product, d_channels):
        """Add d/d(channels) to `d_channels`."""
        here = slice(term[0] ** 2, (term[0] + 1) ** 2)
        if len(term) == 1:
            d_channels[:, here] += d_product
            return
        _, other, shift = term
        left, right = self._part(term[0]), self._part(other, shift)
        d_pairs = np.matmul(_table(term, order).T, d_product).reshape(len(left), left.shape[1], right.shape[1], -1)
        d_channels[:, here] += (d_pairs * right[:, None]).sum(axis=2)
        d_right = (d_pairs * left[:, :, None]).sum(axis=1)
        d_channels[:, other * other:(other + 1) ** 2] += np.roll(d_right, shift, axis=2) if shift else d_right


def _table(term, order):
    """Clebsch-Gordan coefficients, (2λ + 1, pairs)."""
    table = clebsch_gordan(*term[:2], ORDERS[order].degree)
    return np.ascontiguousarray(table.reshape(-1, table.shape[2]).T)
