"""One structure's environments at all scales: coefficients, their products, and the way back to forces."""

from dataclasses import dataclass, field

import numpy as np

from ase_lode import memory
from ase_lode._loops.quadratic import product_rows, products, quadratic_form
from ase_lode.errors import ConfigError
from ase_lode.features.density import DensityExpansion
from ase_lode.features.expansion import Form
from ase_lode.features.exterior import ExteriorField
from ase_lode.features.full import FullField
from ase_lode.features.layout import Layout
from ase_lode.neighbors import NeighborList
from ase_lode.parallel import run

#: Relative RMS error of the fields and their first derivatives; the error of forces is about the same.
TOLERANCE = 1e-5


@dataclass
class Environments:
    """The expansion coefficients of a structure, and what the way back needs.

    Attributes
    ----------
    system : System
    species : array of int, shape (atoms,)
        Index into the model's elements.
    coefficients : array, shape (atoms, lm, channels)
        See `Layout`.
    """

    system: object
    species: np.ndarray
    coefficients: np.ndarray
    pairs: object
    fields: list = field(default_factory=list)


@dataclass
class Rows:
    """Summed products by centre element, one column each, and their derivatives.

    Attributes
    ----------
    energy : array, shape (columns,)
    gradient : array, shape (3 x atoms, columns), or None
        d/dr.
    virial : array, shape (6, columns), or None
        d/dε in Voigt order xx yy zz yz xz xy.
    """

    energy: np.ndarray
    gradient: np.ndarray | None
    virial: np.ndarray | None


class Representation:
    """Density and fields of a model, their products and the reverse pass.

    Parameters
    ----------
    model : ModelConfig
        With all defaults resolved, elements listed and charges known.
    tolerance : float
        Relative error of the fields and their first derivatives.
    """

    def __init__(self, model, tolerance=TOLERANCE):
        self.elements = list(model.elements)
        for config in model.fields:
            missing = [e for e in self.elements if config.sources == "charges" and e not in (config.charges or {})]
            if missing:
                raise ConfigError(f"The field 1/r^{config.exponent} has no charges for {', '.join(missing)}; give "
                                  "'charges' as a mapping by element.")
        self.density = DensityExpansion(model.density)
        kinds = {"exterior": ExteriorField, "full": FullField}
        self.fields = [kinds[config.near_field](config, self.elements, tolerance) for config in model.fields]
        sizes = [(len(self._source_names(f.config)) * f.n_radial, f.config.min_angular, f.config.max_angular)
                 for f in self.fields]
        self.layout = Layout(len(self.elements), model.density.max_radial, self.density.lanes,
                             model.density.max_angular, sizes, model.invariants)
        self.n_features = len(self.layout.l)
        self.feature_groups = self.layout.groups
        self.group_names = self.layout.group_names
        #: Largest distance between atoms of a pair, in Å.
        self.cutoff = max([self.density.cutoff] + [f.reach for f in self.fields])

    def _source_names(self, config):
        return self.elements if config.sources == "elements" else ["charge"]

    def compute(self, system, neighbors=None, n_threads=1):
        """Expansion coefficients of every atom.

        Parameters
        ----------
        system : System
        neighbors : NeighborList, optional
            A list to keep between calls; its cutoff must be at least `cutoff`.
        n_threads : int

        Returns
        -------
        Environments
        """
        neighbors = neighbors or NeighborList(self.cutoff)
        species = system.species(self.elements)
        layout = self.layout
        coefficients = memory.zeros((len(system), (layout.max_angular + 1) ** 2, layout.width))
        pairs = neighbors.pairs(system, self.density.cutoff, n_threads)
        self.density.add(pairs, species, coefficients, n_threads)
        if self.density.own.any():
            own = species[:, None] * self.density.lanes + np.arange(self.density.n_radial)
            coefficients[np.arange(len(system))[:, None], 0, own] += self.density.own
        coefficients[:, 0, layout.constant] = 1.0
        result = Environments(system, species, coefficients, pairs)
        for scale, expansion in zip(layout.scales[1:], self.fields):
            values, state = expansion.compute(system, species, neighbors, n_threads)
            coefficients[:, : values.shape[1], scale.start : scale.start + len(scale.channels)] = values
            result.fields.append(state)
        return result

    def pull_back(self, environments, d_coefficients, n_threads=1):
        """dE/dr, shape (atoms, 3), and dE/dε, shape (3, 3), given dE/d(coefficients)."""
        gradient, virial = np.zeros((len(environments.system), 3)), np.zeros((3, 3))
        pairs = environments.pairs
        pair_gradient = memory.zeros((len(pairs.j), 3))
        self.density.pull_back(pairs, environments.species, d_coefficients, pair_gradient, n_threads)
        pairs.add_gradient(pair_gradient, gradient, virial)
        for scale, expansion, state in zip(self.layout.scales[1:], self.fields, environments.fields):
            orders = (scale.max_angular + 1) ** 2
            expansion.pull_back(environments.system, state, d_coefficients[:, :orders, scale.channels], gradient,
                                virial, n_threads)
        return gradient, virial

    def energies(self, environments, forms, n_threads=1):
        """Energies x^T W x of every atom and their gradient by the coefficients, W from `Layout.quadratic`."""
        energies = np.empty(len(environments.system))
        gradient = memory.empty(environments.coefficients.shape)
        run(quadratic_form, len(energies), n_threads, environments.coefficients, environments.species, forms,
            energies, gradient)
        return energies, gradient

    def isolated(self):
        """Coefficients at l = 0 of each element's atom alone in the world, shape (elements, 1, channels)."""
        layout, n = self.layout, len(self.elements)
        coefficients = np.zeros((n, 1, layout.width))
        own = np.arange(n)[:, None] * self.density.lanes + np.arange(self.density.n_radial)
        coefficients[np.arange(n)[:, None], 0, own] = self.density.own
        coefficients[:, 0, layout.constant] = 1.0
        for scale, expansion in zip(layout.scales[1:], self.fields):
            coefficients[:, 0, scale.channels] = expansion.own()
        return coefficients

    def invariants(self, environments):
        """Features of every atom less those of an isolated atom, shape (atoms, features)."""
        return self._products(environments.coefficients) - self.isolated_features[environments.species]

    def _products(self, coefficients):
        layout = self.layout
        out = np.empty((len(coefficients), self.n_features))
        here = layout.l < np.sqrt(coefficients.shape[1])
        out[:, ~here] = 0.0
        part = np.empty((len(coefficients), int(here.sum())))
        products(0, len(part), coefficients, layout.l[here], layout.q[here], layout.r[here], layout.factor[here], part)
        out[:, here] = part
        return out

    @property
    def isolated_features(self):
        """Features of each element's isolated atom, shape (elements, features)."""
        return self._products(self.isolated())

    def rows(self, system, forces=True, stress=True, n_threads=1):
        """Energy rows of a linear model and their derivatives; for training, never for MD.

        Returns
        -------
        Rows
            With elements x features columns.
        """
        environments = self.compute(system, n_threads=n_threads)
        n_species, n_atoms = len(self.elements), len(system)
        features = self.invariants(environments)
        energy = np.zeros((n_species, self.n_features))
        np.add.at(energy, environments.species, features)
        if not (forces or stress):
            return Rows(energy.ravel(), None, None)
        gradient = np.zeros((n_atoms, 3, n_species * self.n_features))
        virial = np.zeros((3, 3, n_species * self.n_features))
        self._density_rows(environments, gradient, virial)
        self._field_rows(environments, gradient, virial, stress)
        voigt = np.stack([virial[0, 0], virial[1, 1], virial[2, 2], *(0.5 * (virial[a, b] + virial[b, a])
                                                                     for a, b in ((1, 2), (0, 2), (0, 1)))])
        return Rows(energy.ravel(), gradient.reshape(3 * n_atoms, -1), voigt if stress else None)

    def _density_rows(self, environments, gradient, virial):
        layout, pairs = self.layout, environments.pairs
        derivative = self.density.jacobian(pairs)
        index = layout.index[: layout.scales[0].max_angular + 1]
        product_rows(0, len(pairs.j), pairs.i, pairs.j, pairs.vectors, layout.constant + 1,
                     environments.coefficients, environments.species, environments.species, self.density.lanes,
                     self.density.n_radial, index, layout.factor, self.n_features, derivative, gradient, virial)

    def _field_rows(self, environments, gradient, virial, need_virial):
        """Products with a field, through the field: for each l and centre element all of them at once."""
        layout = self.layout
        for scale, expansion, state in zip(layout.scales[1:], self.fields, environments.fields):
            forms, columns = [], []
            for l in scale.degrees:
                index = layout.index[l][scale.channels]  # [channel, other channel]
                others = np.flatnonzero((index >= 0).any(axis=0))
                for s in np.unique(environments.species):
                    centres = np.flatnonzero(environments.species == s)
                    block = environments.coefficients[centres, l * l : (l + 1) ** 2]
                    forms.append(Form(centres, l, np.ascontiguousarray(block[:, :, others].transpose(2, 0, 1))))
                    columns.append((s, index[:, others], others))
            for (s, index, others), parts in zip(columns, expansion.rows(environments.system, state, forms,
                                                                         need_virial)):
                for channel, q in enumerate(scale.channels):
                    kept = index[channel] >= 0
                    f = index[channel][kept]
                    factor = layout.factor[f] * np.where(others[kept] == q, 2.0, 1.0)
                    column = s * self.n_features + f
                    gradient[:, :, column] += (parts[0][channel][kept] * factor[:, None, None]).transpose(1, 2, 0)
                    virial[:, :, column] += (parts[1][channel][kept] * factor[:, None, None]).transpose(1, 2, 0)
