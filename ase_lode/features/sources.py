"""What atoms carry into a field: one channel per element, or one channel of charges."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sources:
    """Strengths of the atoms by element.

    Attributes
    ----------
    mix : array, shape (elements, channels)
        Strength of each element in each channel, in e or as 0 and 1.
    strengths : array, shape (atoms, channels)
        The same by atom.
    """

    mix: np.ndarray
    strengths: np.ndarray

    @classmethod
    def of(cls, config, elements, system, species):
        """Sources of one structure for a field's configuration.

        Charges are shifted evenly so that they sum to the total charge: a field of charges that do not would grow
        with the box.
        """
        if config.sources == "elements":
            mix = np.eye(len(elements))
        else:
            charges = np.array([config.charges[element] for element in elements])
            shift = (system.charge - charges[species].sum()) / len(system)
            mix = (charges + shift)[:, None]
        return cls(mix, mix[species])

    @property
    def total(self):
        """Sum of the strengths by channel."""
        return self.strengths.sum(axis=0)
