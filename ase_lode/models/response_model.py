"""What all response models share: elements and density, the range of their data, and what they were fitted to."""

from dataclasses import dataclass

import numpy as np

from ase_lode.hypers import ModelConfig


@dataclass
class Response:
    """A fitted response model.

    Attributes
    ----------
    model : ModelConfig
        Elements, density and fields, resolved.
    ranges : (array, array), each (elements, density channels)
        Smallest and largest coefficients at l = 0 in the training data.
    targets : dict
        What was fitted: key, unit, order, origin and number of labels of each, for the card.
    """

    model: ModelConfig
    ranges: tuple
    targets: dict

    def header(self):
        """What is kept as text."""
        return {"model": self.model.model_dump(mode="json"), "targets": self.targets}

    def arrays(self):
        """What is kept as numbers."""
        return {"response_lower": self.ranges[0], "response_upper": self.ranges[1]}

    @property
    def gives(self):
        """Names of the targets, and the Born charges where the dipole gives them."""
        names = list(self.targets)
        if "dipole" in names and "born_effective_charges" not in names:
            names.append("born_effective_charges")
        return names


@dataclass(frozen=True)
class Tensors:
    """What a response model says of the atoms of one structure.

    Attributes
    ----------
    species : array of int, shape (atoms,)
    atomic : dict of (str, str) to array, shape (atoms, 2λ + 1)
        Contributions by target and order.
    gradients : list of array, shape (atoms, 3)
        Derivatives by the positions of what was asked for.
    scalars : array, shape (atoms, density channels)
        Density coefficients at l = 0.
    distances : array, shape (pairs,)
    """

    species: np.ndarray
    atomic: dict
    gradients: list
    scalars: np.ndarray
    distances: np.ndarray
