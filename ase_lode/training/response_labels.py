"""Labels of the response as a model sees them: spherical components, less what the charges of the model give."""

import numpy as np

from ase_lode.features.equivariants import spherical_tensor, spherical_vector
from ase_lode.models.response import clausius_mossotti


def components(name, structure, fixed):
    """Label of a target by order; that of a dipole, which its orders share, under "".

    Parameters
    ----------
    name : str
    structure : Structure
    fixed : array, shape (atoms,)
        Charges that the model puts on the atoms beforehand, in e.

    Returns
    -------
    dict of str to array, shape (2λ + 1,) or, for Born charges, (atoms, 2λ + 1)
    """
    value, system = structure.response[name], structure.system
    if name == "dipole":
        return {"": spherical_vector(value - fixed @ system.positions)}
    if name == "dielectric_tensor":
        value = clausius_mossotti(value, system.measure)
    return spherical_tensor(value)


def arms(system):
    """Positions from their mean, (atoms, 3)."""
    return system.positions - system.positions.mean(axis=0)


def base_rows(name, species, system, n_elements):
    """What numbers of order 0, one for each element, add to the label: (components, elements)."""
    member = (species[:, None] == np.arange(n_elements)).astype(float)
    if name == "born_effective_charges":
        return member
    return spherical_vector(arms(system)).T @ member if name == "dipole" else member.sum(axis=0)[None]


def element_base(rows, labels):
    """The numbers of order 0 that fit the labels best, (elements,)."""
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(labels), rcond=1e-8)[0]
