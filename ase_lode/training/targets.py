"""Labels of the response: where a file's dipoles and tensors are checked and converted to e·Å, Å³ and e."""

import numpy as np

from ase_lode.errors import DataError
from ase_lode.hypers import TARGET_ORDERS, TARGET_UNITS

#: Shape of each label, for n atoms.
SHAPES = {"dipole": lambda n: (3,), "polarizability": lambda n: (3, 3), "dielectric_tensor": lambda n: (3, 3),
          "born_effective_charges": lambda n: (n, 3, 3)}
#: Targets whose labels belong to atoms; the others are sums over them.
PER_ATOM = {"born_effective_charges"}
PERIODIC_DIPOLE = ("'{key}' of {where} is the dipole of a periodic cell, which is multivalued and cannot be fitted; "
                   "fit Born effective charges, a polarizability or a dielectric tensor instead. If the cell is a "
                   "dummy around an isolated molecule set data.train.isolated: true; if molecules stand among periodic "
                   "structures set targets.dipole.systems: isolated.")


def response_labels(found, system, masses, targets, where):
    """The response labels of one structure that it should have and has.

    Parameters
    ----------
    found : mapping
        Everything the file says about the structure, by key.
    system : System
    masses : array, shape (atoms,)
    targets : dict of TargetConfig
    where : str
        For messages.

    Returns
    -------
    dict of array
        By target, in e·Å (about the origin of coordinates), Å³, 1 and e.

    Raises
    ------
    DataError
        A label of the wrong shape, not finite, a dipole of a periodic cell, or one of a charged molecule without an
        origin.
    """
    labels = {}
    for name, target in targets.items():
        if not expected(name, target, system) or target.key not in found:
            continue
        values = _array(found[target.key], name, target.key, len(system), where)
        if name == "dipole":
            if system.pbc.any():
                raise DataError(PERIODIC_DIPOLE.format(key=target.key, where=where))
            values = values * unit(name, target) + _shift(target, system, masses, where)
        else:
            values = values * unit(name, target)
        labels[name] = values
    return labels


def expected(name, target, system):
    """Whether a structure should have the label."""
    if name == "dielectric_tensor":
        return bool(system.pbc.all())
    return {"all": True, "isolated": not system.pbc.any(), "periodic": bool(system.pbc.any())}[target.systems]


def unit(name, target):
    """What the label is multiplied by."""
    units = TARGET_UNITS[name]
    return units[target.unit or next(iter(units))]


def order_names(name, target):
    """Orders of the features of a target, by the names of `ase_lode.features.equivariants.ORDERS`."""
    orders = TARGET_ORDERS[name] if target.order is None else sorted(set(target.order))
    return ["axial" if order == 1 and name != "dipole" else str(order) for order in orders]


def _shift(target, system, masses, where):
    """From the label's origin to the origin of coordinates, in e·Å."""
    if system.charge == 0:
        return 0.0
    if target.origin is None:
        raise DataError(f"The dipole of {where} belongs to a charged molecule and depends on its origin; set "
                        "targets.dipole.origin to coordinates or center_of_mass.")
    if target.origin == "coordinates":
        return 0.0
    return system.charge * (masses @ system.positions) / masses.sum()


def _array(value, name, key, n, where):
    shape = SHAPES[name](n)
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"'{key}' of {where} is not a number; name another key for {name}.") from None
    if shape[-2:] == (3, 3) and array.size == 6 * np.prod(shape) // 9:
        raise DataError(f"'{key}' of {where} has 6 numbers for a tensor, whose order is not known; write all 9, row by "
                        "row.")
    if array.size != np.prod(shape):
        raise DataError(f"'{key}' of {where} has shape {array.shape}, but {name} needs {shape}; name another key.")
    if not np.isfinite(array).all():
        raise DataError(f"'{key}' of {where} is not finite; remove the structure or correct it.")
    array = array.reshape(shape)
    if name in ("polarizability", "dielectric_tensor"):
        if abs(array - array.T).max() > 0.1 * abs(array).max():
            raise DataError(f"'{key}' of {where} is not symmetric, so it is no {name}; name another key.")
        array = (array + array.T) / 2
    if name == "dielectric_tensor" and np.linalg.eigvalsh(array).min() <= 0:
        raise DataError(f"'{key}' of {where} is not positive, so it is no dielectric tensor; name another key.")
    return array
