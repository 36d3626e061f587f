"""Polarizabilities of water dimers from few coupled-cluster labels and many cheap ones.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/dimer_levels.py FOLDER`` writes ``train.xyz`` and ``held.xyz`` into a
folder, for ``ase-lode train``. The cheap levels of `dimer_labels.py`, weighted to suit the coupled-cluster labels,
leave a remainder that a ridge of responses learns from these; both together label the new dimers. A tenth of the
published dimers, that of `response_limits.py`, is held back from all of it, with the new ones that were made of them.
"""

import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from dimer_labels import SYMBOLS, labelled
from response import BOHR
from response_limits import WIDE, polarizabilities, potential, rms, spread, structures

#: The ridge that learns the remainder: wide and coarse, the best of `response_limits.py`.
REMAINDER = {"density": {"cutoff": WIDE, "max_angular": 2}}


def weights(levels, tensors):
    """Of the levels, and a multiple of the unit matrix, that suit the tensors best."""
    return np.linalg.lstsq(_columns(levels), tensors.ravel())[0]


def combined(levels, found):
    """The levels weighted."""
    return (_columns(levels) @ found).reshape(-1, 3, 3)


def _columns(levels):
    unit = np.broadcast_to(np.eye(3), (len(levels), 1, 3, 3))
    return np.concatenate([levels, unit], axis=1).transpose(0, 2, 3, 1).reshape(-1, levels.shape[1] + 1)


def with_tensors(images, tensors):
    """Copies of the structures with other polarizabilities."""
    result = [atoms.copy() for atoms in images]
    for atoms, tensor in zip(result, tensors):
        atoms.info["alpha"] = tensor
    return result


def main(folder):
    images = structures("dielectric/water_dimer_train.xyz", "alpha", BOHR**3, True)
    tensors, size = polarizabilities(images), spread(polarizabilities(images))
    positions, parents, more, levels = labelled()
    levels, more = levels * BOHR**3, more * BOHR**3
    held, rest = np.split(np.random.default_rng(0).permutation(len(images)), [len(images) // 10])
    positions, more = (part[~np.isin(parents, held).any(axis=1)] for part in (positions, more))
    found = weights(levels[rest], tensors[rest])
    remainder = tensors - combined(levels, found)
    parts = [with_tensors([images[k] for k in part], remainder[part]) for part in (rest, held)]
    calc = potential(*parts, **REMAINDER)
    errors = np.array([calc.respond(images[k])["polarizability"] for k in held]) - remainder[held]
    print(f"Weights {np.round(found, 3)}; they leave {100 * rms(remainder[held]) / size:.2f} % of the spread, the "
          f"ridge {100 * rms(errors) / size:.2f} %; {len(more)} new dimers.")
    new = [Atoms(SYMBOLS, one) for one in positions]
    taught = [tensor + calc.respond(atoms)["polarizability"] for atoms, tensor in zip(new, combined(more, found))]
    folder.mkdir(parents=True, exist_ok=True)
    for name, frames in (("train", [*(images[k] for k in rest), *with_tensors(new, taught)]),
                         ("held", [images[k] for k in held])):
        ase.io.write(folder / f"{name}.xyz", frames)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
