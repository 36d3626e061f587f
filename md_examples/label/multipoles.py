"""Rigid pairs of H2O and CO2 with Hartree-Fock in PySCF: near and far interaction energies without dispersion.

Usage (about ten minutes; interrupted, run it again; needs pyscf)::

    OMP_NUM_THREADS=1 python multipoles.py

The energies of the two molecules alone are subtracted, without counterpoise, which is right beyond contact only.
"""

from functools import cache, partial

import numpy as np
from ase import Atoms
from ase.build import molecule
from batches import fill, random_of

METHOD, BASIS = "HF/6-31G*, PySCF", "6-31g*"
PAIRS = (("H2O", "H2O"), ("H2O", "CO2"), ("CO2", "CO2"))
TURNS = 10
#: Distances of the centres (Å): four shells near, four far, a random distance in each.
SHELLS = (5.0, 5.35, 5.7, 6.1, 6.5, 7.5, 8.8, 10.2, 12.0)


def energy(atoms):
    """Return the Hartree-Fock energy (eV)."""
    from pyscf import gto, scf
    from pyscf.data.nist import HARTREE2EV

    structure = gto.M(atom=list(zip(atoms.symbols, atoms.positions.tolist())), basis=BASIS, verbose=0)
    field = scf.RHF(structure)
    field.conv_tol, field.conv_tol_grad = 1e-11, 1e-6
    result = field.kernel()
    if not field.converged:
        raise RuntimeError("Hartree-Fock did not converge; start the script again or change the geometry.")
    return HARTREE2EV * result


@cache
def alone(name):
    """Return the energy of one molecule."""
    return energy(molecule(name))


def turned(name, random):
    """Return the molecule in a random orientation, its O (H2O) or C (CO2) at the origin."""
    atoms = molecule(name)
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    return Atoms(atoms.symbols, (atoms.positions - atoms.positions[0]) @ turn)


def pair(group, first, second):
    """Return one pair of random orientations in each shell of distances."""
    random, frames = random_of(group), []
    for low, high in zip(SHELLS, SHELLS[1:]):
        distance = random.uniform(low, high)
        there = turned(second, random)
        there.positions[:, 2] += distance
        atoms = turned(first, random) + there
        atoms.positions = atoms.positions.round(5)
        interaction = round(energy(atoms) - alone(first) - alone(second), 8)
        atoms.info = {"config_type": f"{first}-{second}", "group": group, "distance": round(atoms.positions[-3, 2], 5),
                      "interaction": interaction, "method": METHOD}
        frames.append(atoms)
    return frames


if __name__ == "__main__":
    work = {}
    for turn in range(TURNS):
        for first, second in PAIRS:
            group = f"{first}-{second}-{turn}"
            work[group] = partial(pair, group, first, second)
    fill("../paper/multipoles/pairs_hf.extxyz.gz", work)
