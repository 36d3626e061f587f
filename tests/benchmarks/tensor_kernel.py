"""Polarizabilities by a kernel of structures, K = Σ_ij K_λ(i, j) K_0(i, j): what products with all scalars would give.

Grisafi et al., Phys. Rev. Lett. 120, 036002 (2018), with ζ = 2: atoms i and j of one element, K_λ from the equivariants
of order λ and K_0 from the invariants, both normalised by the invariants of each atom.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ase_lode.features.equivariants import ORDERS, Equivariants, cartesian_tensor, spherical_tensor
from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig
from ase_lode.models.response_features import ResponseFeatures
from ase_lode.system import System
from ase_lode.training.response_channels import SAMPLE, choose_channels, choose_groups
from ase_lode.training.response_solve import rms

#: Principal components of the density, products of each order, and strengths to choose from.
CHANNELS, FEATURES, STRENGTHS = 16, 768, 10.0 ** np.arange(-7, -1)


class TensorKernel:
    """The kernels of orders 0 and 2 of structures whose atoms stand in the same order.

    Parameters
    ----------
    images : list of Atoms
    cutoff : float
        Å.
    """

    def __init__(self, images, cutoff):
        elements = sorted(set(images[0].symbols))
        model = ModelConfig(elements=elements, density={"cutoff": cutoff}).resolved()
        representation = Representation(model)
        environments = [representation.compute(System.from_atoms(atoms)) for atoms in images]
        self.species = environments[0].species
        turn, first = choose_channels(environments, representation.layout, len(elements), CHANNELS)
        features = ResponseFeatures(turn, {})
        channels = np.array([features.channels(one.coefficients, one.species) for one in environments])
        sample = channels.reshape(-1, *channels.shape[2:])
        sample = np.ascontiguousarray(sample[np.linspace(0, len(sample) - 1, SAMPLE).astype(int)])
        self.kernels = {}
        invariants, size = None, None
        for order in ("0", "2"):
            product = Equivariants(ORDERS[order], choose_groups(sample, order, FEATURES, 0, first))
            values = np.array([product.compute(one) for one in channels])
            if order == "0":
                size = np.linalg.norm(values, axis=(2, 3), keepdims=True)
                invariants = (values / size)[:, :, 0]
            self.kernels[order] = self._sum(values / size, invariants)

    def _sum(self, values, invariants):
        """Σ_ij over atoms of one element, each element scaled to a mean diagonal of 1; (rows, rows)."""
        n, _, m, _ = values.shape
        kernel = np.zeros((n * m, n * m))
        for s in np.unique(self.species):
            atoms = np.flatnonzero(self.species == s)
            part = np.zeros((n, m, n, m))
            for i in atoms:
                for j in atoms:
                    tensors = values[:, i].reshape(n * m, -1) @ values[:, j].reshape(n * m, -1).T
                    scalars = invariants[:, i] @ invariants[:, j].T
                    part += tensors.reshape(n, m, n, m) * scalars[:, None, :, None]
            part = part.reshape(n * m, n * m)
            kernel += part / np.mean(part.diagonal())
        return kernel

    def predict(self, tensors, fitted, held):
        """Tensors of the held structures, fitted to those of the fitted ones; strengths chosen on the held ones."""
        mean = np.eye(3) * np.trace(tensors[fitted].mean(axis=0)) / 3
        labels = spherical_tensor(tensors - mean)
        return mean + cartesian_tensor({order: self._solve(order, labels[order], fitted, held) for order in ("0", "2")})

    def _solve(self, order, labels, fitted, held):
        m = labels.shape[1]
        rows, others = (np.add.outer(m * part, np.arange(m)).ravel() for part in (fitted, held))
        kernel, across = self.kernels[order][np.ix_(rows, rows)], self.kernels[order][np.ix_(others, rows)]
        found = []
        for strength in STRENGTHS:
            matrix = kernel + strength * np.mean(kernel.diagonal()) * np.eye(len(kernel))
            found.append(across @ cho_solve(cho_factor(matrix, lower=True), labels[fitted].ravel()))
        return min(found, key=lambda one: rms(one - labels[held].ravel())).reshape(-1, m)
