"""The raw expansion coefficients of a structure, for looking, for plots and for comparison with other codes."""

import numpy as np

from ase_lode.errors import ConfigError
from ase_lode.features.representation import Representation
from ase_lode.hypers import ModelConfig, read_config
from ase_lode.system import System

#: Relative error of the fields here: close to the direct sums.
TOLERANCE = 1e-9


def expansions(atoms, model, n_threads=1):
    """Density and field coefficients about every atom.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure.
    model : mapping
        The model section of a configuration; `elements`, `density` and `fields` suffice, with
        `charges` for fields of charges.
    n_threads : int
        Threads to use.

    Returns
    -------
    dict
        ``{"density": array, "fields": [array, ...]}``, each float64 of shape (atoms, sources, radial functions,
        (max_angular + 1)²) with the flat index l² + l + m. Sources are the elements in the order of
        ``model["elements"]``, or one channel for fields of charges.

    Raises
    ------
    ConfigError
        Unknown keys, values out of range, no elements, or an element without a charge.
    StructureError
        The structure cannot be computed.
    """
    config = read_config(ModelConfig, model).resolved()
    if not config.elements:
        raise ConfigError("'elements' is missing; list the chemical symbols that may occur.")
    representation = Representation(config, TOLERANCE)
    environments = representation.compute(System.from_atoms(atoms), n_threads=n_threads)
    sizes = [config.density.max_radial] + [field.n_radial for field in representation.fields]
    blocks = []
    for scale, n_radial in zip(representation.layout.scales, sizes):
        block = environments.coefficients[:, : (scale.max_angular + 1) ** 2, scale.channels]
        block = block.reshape(*block.shape[:2], -1, n_radial)
        blocks.append(np.ascontiguousarray(block.transpose(0, 2, 3, 1)))
    return {"density": blocks[0], "fields": blocks[1:]}
