"""Training of a response model: channels from the data, then one regularised least-squares problem for each tensor."""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from ase_lode.errors import ConfigError, DataError
from ase_lode.features.equivariants import ORDERS, spherical_vector
from ase_lode.features.representation import TOLERANCE, Representation
from ase_lode.hypers import ModelConfig, RidgeConfig, read_config
from ase_lode.models.response_features import ResponseFeatures
from ase_lode.models.response_ridge import RidgeResponse
from ase_lode.training.fit import FEW, left_out
from ase_lode.training.response_channels import SAMPLE, choose_channels, choose_groups, choose_scalars, of_density
from ase_lode.training.response_labels import arms, base_rows, components, element_base
from ase_lode.training.response_solve import OverColumns, OverRows
from ase_lode.training.ridge_training import finite, widen
from ase_lode.training.targets import order_names, unit

#: Most rows of a problem solved over its rows (1.2 GB), and most columns of one solved over its columns.
MOST_ROWS, MOST_COLUMNS = 12_000, 12_000


def response_model(config, model):
    """Density, fields and head of the response model, resolved.

    Parameters
    ----------
    config : ResponseConfig
    model : ModelConfig
        The potential's, complete.

    Raises
    ------
    ConfigError
        A network is asked for with a density or fields that it does not take.
    """
    fields = config.fields
    if fields is None:
        fields = [field for field in model.fields if (field.sources == "learned") == (config.head is not None)]
    parts = {"density": config.density or model.density, "fields": fields, "head": config.head or RidgeConfig()}
    try:
        return read_config(ModelConfig, {"elements": model.elements, "charges": model.charges, **parts}).resolved()
    except ConfigError as error:
        raise ConfigError(f"response.density, response.fields: {error}") from None


def target_plan(config, data):
    """What will be fitted: number of labels, unit and orders of each target."""
    return {"targets": {name: {"labels": sum(name in s.response for s in data.train), "key": target.key,
                               "unit": target.unit or "default", "order": order_names(name, target),
                               "read_as": f"times {unit(name, target):.10g}"}
                        for name, target in config.targets.items()}}


def target_cards(config, data):
    """What a response model says of its targets."""
    return {name: {"key": target.key, "unit": target.unit or "", "origin": target.origin or "",
                   "systems": target.systems, "order": order_names(name, target),
                   "structures": sum(name in s.response for s in data.train)}
            for name, target in config.targets.items()}


@dataclass
class Prepared:
    """One structure with its channels, kept for all passes over the data."""

    structure: object
    species: np.ndarray
    channels: np.ndarray
    gates: np.ndarray = None

    def __len__(self):
        return len(self.species)


class ResponseTraining:
    """Channels, products and scalars from the training structures, then weights of every target.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem):
        self._config, self._data, self._n_threads = problem.config, problem.data, problem.n_threads
        self._model = response_model(self._config.response, problem.model)
        self._representation = Representation(self._model)

    def plan(self):
        """What will be fitted: number of labels, unit and orders of each target."""
        return target_plan(self._config, self._data)

    def fit(self, progress):
        """Solve.

        Returns
        -------
        response : Response
        report : dict
        """
        settings = self._config.response
        prepared = self._prepare(progress)
        n_train = len(self._data.train)
        train, held = prepared[:n_train], prepared[n_train:]
        weights, report = {}, {}
        with threadpool_limits(self._n_threads):
            for name, target in self._config.targets.items():
                fitter = TargetFit(name, order_names(name, target), self._features, self._tensors, settings)
                found, report[name] = fitter.fit([p for p in train if name in p.structure.response],
                                                 [p for p in held if name in p.structure.response], progress)
                weights.update(found)
        groups = {order: self._groups[order].tolist() for order in self._groups}
        response = RidgeResponse(self._model, self._ranges, target_cards(self._config, self._data), self._features.turn,
                                 self._features.mean, self._features.scalars, groups, weights)
        return response, {"response": report}

    def clean(self):
        """Nothing was left on the way."""

    def _environments(self, structures):
        for structure in structures:
            yield self._representation.compute(structure.system, n_threads=self._n_threads)

    def _prepare(self, progress):
        """Choose channels, products and scalars; channels and gates of every structure."""
        settings, representation = self._config.response, self._representation
        layout, n = representation.layout, len(self._model.elements)
        train, held = self._data.train, self._data.held
        lower = np.full((n, len(layout.scales[0].channels)), np.inf)
        upper = -lower

        def watched():
            for one in self._environments(progress.track(train, "response: channels")):
                widen(lower, upper, one.species, one.coefficients[:, 0, layout.scales[0].channels])
                yield one

        turn, first_density = choose_channels(watched(), layout, n, settings.channels)
        self._ranges = finite(lower, upper)
        features = ResponseFeatures(turn, {})
        prepared = []
        structures = progress.track(train + held, "response: environments")
        for structure in structures:
            one = next(self._environments([structure]))
            prepared.append(Prepared(structure, one.species, features.channels(one.coefficients, one.species)))
        sample = np.concatenate([p.channels for p in prepared[: len(train)]])
        sample = np.ascontiguousarray(sample[np.linspace(0, len(sample) - 1, min(SAMPLE, len(sample))).astype(int)])
        orders = {"0"}.union(*(order_names(*item) for item in self._config.targets.items()))
        self._groups = {order: choose_groups(sample, order, settings.features,
                                             settings.field_features * len(self._model.fields), first_density)
                        for order in sorted(orders)}
        empty = [order for order, groups in self._groups.items() if len(groups) == 0]
        if empty:
            raise DataError(f"No atom has features of order {', '.join(empty)}: none has neighbours within the "
                            "cutoff; enlarge it, or add structures of more than one atom.")
        features = ResponseFeatures(turn, self._groups)
        invariants, local = features.equivariants["0"], of_density(self._groups["0"], first_density)
        mean, scalars = choose_scalars(((p.species, invariants.compute(p.channels)[:, 0] * local)
                                        for p in prepared[: len(train)]), n, settings.scalars)
        self._features = ResponseFeatures(turn, self._groups, mean, scalars)
        for one in prepared:
            one.gates = self._features.gates(one.channels, one.species)
        empty = RidgeResponse(self._model, self._ranges, {}, turn, mean, scalars, self._groups, {})
        self._tensors = empty.tensors(TOLERANCE)
        return prepared


class TargetFit:
    """The weights of one target, order by order; those of a dipole together.

    Rows are the spherical components of the labels less what is known beforehand, structure by structure or (Born
    charges) atom by atom; columns are products of scalars with features, by centre element. A structure of N atoms
    weighs 1/N, since the errors of sums grow with √N.

    Parameters
    ----------
    name : str
    orders : list of str
    features : ResponseFeatures
    tensors : RidgeTensors
        Gives the charges of the fields.
    settings : ResponseConfig
    """

    def __init__(self, name, orders, features, tensors, settings):
        self.name, self.orders, self.features, self.tensors = name, orders, features, tensors
        self.regularisation = settings.regularisation
        self.n_elements = len(features.turn)
        self.per_atom = name == "born_effective_charges"

    def fit(self, train, held, progress):
        """Weights by (target, order), and what the report says."""
        if not train:
            raise DataError(f"No training structure has the label of target {self.name}; check its key and systems.")
        internal = len(held) < FEW
        chosen_on = "training structures left out, fitted afterwards" if internal else "validation"
        if internal:
            count = left_out(len(train)) if len(train) > 1 else 0
            train, held = train[: len(train) - count], train[len(train) - count :]
        solve = self._fit_atoms if self.per_atom else self._fit_sums
        weights, report = {}, {"chosen_on": chosen_on}
        for orders in [self.orders] if self.name == "dipole" else [[order] for order in self.orders]:
            base = self._base(orders, train)
            targets = [self._target(one, orders, base) for one in train + held]
            label = f"response: {self.name}, order {' and '.join(orders)}"
            found, strengths = solve(orders, train, held, internal, targets, progress, label)
            report["+".join(orders)] = {"regularisation": strengths}
            if base is not None:
                found["0"][:, 0, 0] += base  # the first feature is the constant
            weights.update({(self.name, order): array for order, array in found.items()})
        return weights, report

    def _fit_sums(self, orders, train, held, refit, targets, progress, label):
        columns = self.n_elements * self.features.n_gates * sum(self.features.equivariants[o].n_features
                                                                for o in orders)
        rows = sum(map(len, targets))
        if columns <= min(rows, MOST_COLUMNS):
            solver = OverColumns(self, orders, train, held, refit, range(self.n_elements))
        elif rows <= MOST_ROWS:
            solver = OverRows(self, orders, train, held, refit)
        else:
            raise DataError(f"{self.name}: {rows} rows of {columns} columns are too many for memory; lower "
                            "response.features or response.scalars, or take fewer structures.")
        weights, strength = solver.solve(targets, self.regularisation, progress, label)
        return weights, strength

    def _fit_atoms(self, orders, train, held, refit, targets, progress, label):
        """The tensors of the atoms of every element by themselves."""
        order, size = orders[0], ORDERS[orders[0]].size
        weights, strengths, structures = 0.0, {}, train + held
        for s, element in enumerate(self.tensors.representation.elements):
            parts = [values.reshape(-1, size)[one.species == s].ravel() for one, values in zip(structures, targets)]
            if not any(map(len, parts[: len(train)])):
                continue
            solver = OverColumns(self, [order], train, held, refit, [s])
            found, strengths[element] = solver.solve(parts, self.regularisation, progress, f"{label}, {element}")
            weights = weights + found[order]
        return {order: weights}, strengths

    def labels(self, one, orders):
        """Components of the label of one structure less what the fields' charges give, (rows,)."""
        found = components(self.name, one.structure, self.tensors.fixed_charges(one.structure.system, one.species))
        return found["" if self.name == "dipole" else orders[0]].ravel()

    def rows(self, one, order, s):
        """Features of the atoms of one element, summed unless labels are per atom: (rows, scalars x features)."""
        centres = np.flatnonzero(one.species == s)
        gates = one.gates[centres]
        values = self.features.equivariants[order].compute(np.ascontiguousarray(one.channels[centres]))
        if self.name == "dipole" and order == "0":
            values = spherical_vector(arms(one.structure.system)[centres])[:, :, None] * values
        n, m, f = values.shape
        if self.per_atom:
            return np.einsum("ia,imf->imaf", gates, values).reshape(n * m, -1)
        return (gates.T @ values.reshape(n, m * f)).reshape(-1, m, f).transpose(1, 0, 2).reshape(m, -1)

    def weight(self, one):
        """Weight of the residuals of a structure."""
        return 1.0 if self.per_atom else 1 / np.sqrt(len(one))

    def _base(self, orders, train):
        """What the elements alone explain of order 0, by least squares: a number for each element, or None."""
        if "0" not in orders:
            return None
        return element_base([self.weight(one) * self._base_rows(one) for one in train],
                            [self.weight(one) * self.labels(one, orders) for one in train])

    def _base_rows(self, one):
        return base_rows(self.name, one.species, one.structure.system, self.n_elements)

    def _target(self, one, orders, base):
        values = self.labels(one, orders)
        return self.weight(one) * (values if base is None else values - self._base_rows(one) @ base)
