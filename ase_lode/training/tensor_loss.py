"""The loss of a network of responses: squared errors of its tensors, each in units of its label's spread."""

import numpy as np

from ase_lode.features.equivariants import ORDERS, cartesian_vector, spherical_vector
from ase_lode.training.metrics import UNITS
from ase_lode.training.network import Sample, SharedLoss, in_order, join
from ase_lode.training.response_labels import arms, base_rows, components, element_base
from ase_lode.training.targets import PER_ATOM


class Target:
    """One target as a network learns it: less the elements' part, in units of its spread.

    Parameters
    ----------
    name : str
    orders : list of str
    n_elements : int
    train : list of Sample
        Those with the label decide the elements' part and the unit.

    Attributes
    ----------
    base : array, shape (elements,), or None
        What the elements alone give of order 0.
    spread : float
        Root mean square of a component, in the unit of `UNITS`, a dielectric tensor's as Clausius-Mossotti
        polarizability in Å³.
    size : float
        Unit of the atoms' tensors: that of a sum of them grows with the root of their number.
    """

    def __init__(self, name, orders, n_elements, train):
        self.name, self.orders, self._n_elements = name, orders, n_elements
        self.per_atom = name in PER_ATOM
        self.n_components = 3 if name == "dipole" else 9
        self._parts = [""] if name == "dipole" else orders  # of a label; the first is what order 0 adds to
        self.base, self.size = None, 1.0
        known = [sample for sample in train if name in sample.structure.response]
        if "0" in orders:
            self.base = element_base([self._base_rows(one) / np.sqrt(len(one)) for one in known],
                                     [self._components(one)[0].ravel() / np.sqrt(len(one)) for one in known])
        squares = np.array([np.sum(self.label(one) ** 2) for one in known]) / self.n_components
        atoms = np.array([len(one) for one in known])
        self.spread = float(np.sqrt(np.mean(squares / (atoms if self.per_atom else 1))))
        self.size = max(float(np.sqrt(np.mean(squares / atoms))), 1e-12)

    def label(self, sample):
        """Spherical components, order after order: (components,), or (atoms, components) of Born charges."""
        first, *others = self._components(sample)
        if self.base is not None:
            first = first - (self._base_rows(sample) @ self.base).reshape(first.shape)
        return np.concatenate([first, *others], axis=-1) / self.size

    def predicted(self, tensors, sample, atoms):
        """The same of a network's tensors by target and order, of which `atoms` are the sample's."""
        parts = {order: tensors[self.name, order][atoms] for order in self.orders}
        if self.name == "dipole":
            return sum(spherical_vector(values[:, 0] @ arms(sample.system)) if order == "0" else values.sum(axis=0)
                       for order, values in parts.items())
        together = np.concatenate(list(parts.values()), axis=1)
        return together if self.per_atom else together.sum(axis=0)

    def pull_back(self, d_predicted, sample, atoms, d_tensors):
        """Add d/d(tensors) to `d_tensors`, given d/d(predicted)."""
        if self.name == "dipole":
            for order in self.orders:
                d_tensors[self.name, order][atoms] += (
                    (arms(sample.system) @ cartesian_vector(d_predicted))[:, None] if order == "0" else d_predicted)
            return
        ends = np.cumsum([ORDERS[order].size for order in self.orders])[:-1]
        for order, part in zip(self.orders, np.split(d_predicted, ends, axis=-1)):
            d_tensors[self.name, order][atoms] += part

    def _components(self, sample):
        system = sample.system
        found = components(self.name, sample.structure, np.full(len(system), system.charge / len(system)))
        return [found[part] for part in self._parts]

    def _base_rows(self, sample):
        return base_rows(self.name, sample.species, sample.system, self._n_elements)


def tensor_samples(network, orders, train, held):
    """Structures with their pairs and the labels that a network learns.

    Parameters
    ----------
    network : TensorNetwork
    orders : dict of str to list of str
        Of every target.
    train, held : list of Structure

    Returns
    -------
    train, held : list of Sample
        Those with any label; `labels` by target.
    targets : list of Target
    """
    train, held = ([Sample(one, network, None) for one in part if one.response] for part in (train, held))
    targets = [Target(name, orders[name], len(network.elements), train) for name in orders]
    for sample in train + held:
        sample.labels = {one.name: one.label(sample) for one in targets if one.name in sample.structure.response}
    return train, held, targets


class TensorLoss(SharedLoss):
    """Sum over structures and targets of the mean squared error of a component, in units of its spread.

    What is a sum over atoms weighs as much as the tensors of so many atoms.

    Parameters
    ----------
    network : TensorNetwork
    targets : list of Target
    n_threads : int
    """

    def __init__(self, network, targets, n_threads=1):
        super().__init__(network, n_threads)
        self._targets = targets
        self.spreads = {one.name: one.spread for one in targets}
        self.units = {one.name: (UNITS[one.name], 1) for one in targets} | {"dielectric_tensor": ("Å³ (α)", 1)}

    def _share(self, network, row, samples, _):
        parameters, result = network.unpack(row), np.zeros_like(row)
        graph = join(samples, [(None, None)] * len(samples), len(network.elements))
        tensors, state = network.compute(parameters, graph)
        seeds, loss = {key: np.zeros_like(values) for key, values in tensors.items()}, 0.0
        for sample, part in zip(samples, graph.parts):
            for target in self._of(sample):
                error = target.predicted(tensors, sample, part.atoms) - sample.labels[target.name]
                loss += np.sum(error**2) / target.n_components
                target.pull_back(2 / target.n_components * error, sample, part.atoms, seeds)
        network.pull_back(parameters, state, seeds, network.unpack(result), need_gradient=False)
        return loss, result

    def _of(self, sample):
        return [one for one in self._targets if one.name in sample.labels]

    def errors(self, row, samples, _=False):
        """Root mean square errors by target, in the units of `Target.spread`."""
        parameters, n = self.network.unpack(row), len(self.network.elements)

        def squares_of(network, sample):
            graph = join([sample], [(None, None)], n)
            tensors = network.compute(parameters, graph)[0]
            here = {}
            for target in self._of(sample):
                error = target.predicted(tensors, sample, graph.parts[0].atoms) - sample.labels[target.name]
                here[target.name] = np.sum(error**2) / target.n_components, len(sample) if target.per_atom else 1
            return here

        found = in_order(squares_of, self.network, samples, self.n_threads)
        result = {}
        for target in self._targets:
            known = [here[target.name] for here in found if target.name in here]
            if known:
                total, count = np.sum(known, axis=0)
                result[target.name] = target.size * float(np.sqrt(total / count))
        return result
