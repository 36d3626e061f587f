"""What three to six water molecules do to each other's polarizabilities beyond pairs, at a cheap level of theory.

``python tests/benchmarks/cluster_labels.py`` cuts clusters out of liquid water, of which it runs dynamics with the
potential `water`, labels them (40 s each on one core) and writes ``results/cluster_labels.npz`` every minute;
interrupted, run it again. It needs ``pip install -e .[label] basis-set-exchange``. `dimer_levels.py` adds the molecules
and their pairs.

The part beyond pairs is small, so Hartree-Fock in a smaller basis will do, scaled by what MP2 makes of it for three
molecules. Molecules and pairs must have the basis functions of all (Boys and Bernardi, Mol. Phys. 19, 553 (1970)):
what their own alone lack is twice the part itself (`cluster_basis.py`). Other clusters, of more molecules too, have no
labels: of them damped dipoles, scaled to the labelled ones, tell about half of this part.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

import ase.io
import induced_dipoles
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from dimer_labels import labels, one_thread, replace

from ase_lode import LODECalculator
from ase_lode.parallel import available_threads

RESULTS = Path(__file__).parent / "results" / "cluster_labels.npz"
LIQUID = Path(__file__).parent / "water_192.extxyz"
BASIS = "aug-cc-pvdz"
COUNT = 48
#: Molecules of the labelled clusters, in turn, and of how many nearest to one they are drawn.
SIZES, NEAREST = (3, 4, 3, 5, 3, 4, 3, 6), 8
#: Clusters without labels that are cut next to each labelled one, and their molecules at least and at most.
OTHERS, FEWEST, MOST = 8, 3, 12
#: Of the dipoles: weights of O, H, H, and the radius of their damping, Å.
SITE, RADIUS = (0.4, 0.3, 0.3), 2.2
#: Of the dynamics: K, fs of a step, 1/fs, steps before the first cluster and from one to the next.
TEMPERATURE, TIMESTEP, FRICTION, FIRST, APART = 350.0, 0.5, 0.01, 4000, 100
SEED = 1


def clusters():
    """Positions of clusters to be labelled and of others, O, H, H of one molecule after another, (atoms, 3) in Å."""
    atoms, rng, other_rng = ase.io.read(LIQUID), np.random.default_rng(SEED), np.random.default_rng([SEED, 1])
    atoms.calc = LODECalculator("water")
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(atoms, TIMESTEP * units.fs, temperature_K=TEMPERATURE, friction=FRICTION / units.fs,
                        fixcm=False, rng=rng)
    dynamics.run(FIRST)
    labelled, others = [], []
    for number in range(COUNT):
        dynamics.run(APART)
        labelled.append(cut(atoms, SIZES[number % len(SIZES)], rng))
        others += [cut(atoms, size, other_rng) for size in other_rng.integers(FEWEST, MOST, OTHERS, endpoint=True)]
    return labelled, others


def cut(atoms, size, rng):
    """Positions of a molecule of the liquid and of size - 1 of its NEAREST, or of two more if it takes more."""
    oxygens, hydrogens = np.flatnonzero(atoms.numbers == 8), np.flatnonzero(atoms.numbers == 1)
    centre = rng.choice(oxygens)
    near = oxygens[np.argsort(atoms.get_distances(centre, oxygens, mic=True))[1:max(NEAREST, size + 1) + 1]]
    chosen, molecules = [centre, *rng.choice(near, size - 1, replace=False)], []
    for oxygen, place in zip(chosen, atoms.get_distances(centre, chosen, mic=True, vector=True)):
        bonds = atoms.get_distances(oxygen, hydrogens, mic=True, vector=True)
        bonds = bonds[np.argsort(np.linalg.norm(bonds, axis=1))[:2]]
        molecules.append(place + np.vstack([np.zeros(3), bonds]))
    return np.concatenate(molecules)


def pieces(size):
    """Numbers of each of so many molecules, then of each pair of them."""
    return [*combinations(range(size), 1), *combinations(range(size), 2)]


def parts(positions):
    """Positions of each molecule of a cluster, then of each pair."""
    molecules = positions.reshape(-1, 3, 3)
    return [molecules[list(present)].reshape(-1, 3) for present in pieces(len(molecules))]


def up_to_pairs(tensors, size):
    """Sum of the molecules' tensors and of what pairs add, from the tensors of the `pieces` of so many molecules."""
    return tensors[size:].sum(axis=0) - (size - 2) * tensors[:size].sum(axis=0)


def beyond_pairs(positions):
    """The rest by Hartree-Fock and, of three molecules, by MP2, (2, 3, 3) in bohr³, else not a number."""
    size = len(positions) // 3
    whole, *rest = (labels(positions, size == 3, basis=BASIS, present=present)
                    for present in [range(size), *pieces(size)])
    return whole - up_to_pairs(np.array(rest), size)


def dipoles_beyond_pairs(positions, alone):
    """The rest by damped dipoles of molecules with polarizabilities `alone`, (3, 3) in the units of these."""
    def total(present):
        molecules = positions.reshape(-1, 3, 3)[list(present)]
        return induced_dipoles.polarizability(alone[list(present)], molecules, SITE, RADIUS)

    size = len(alone)
    return total(range(size)) - up_to_pairs(np.array([total(present) for present in pieces(size)]), size)


def totals(labelled, beyond, others, tensors, weights):
    """Polarizabilities of clusters.

    What molecules do beyond pairs is Hartree-Fock's times what the levels by their weights make of it for three of
    them; in clusters without labels, that of damped dipoles times what suits the labelled ones.

    Parameters
    ----------
    labelled, others : list of array
        Positions.
    beyond : array, shape (labelled, 2, 3, 3)
        Levels of the part beyond pairs.
    tensors : array
        Of all `parts` of `labelled` and `others`, one after another, Å³ as everything here.
    weights : array, shape (2,)

    Returns
    -------
    totals : list of array
    factor, left : float
        The first factor; and share of the labelled part that the dipoles leave.
    """
    clusters, first, both = labelled + others, beyond[:, 0], np.tensordot(weights, beyond, (0, 1))
    trimers = np.isfinite(both).all(axis=(1, 2))
    factor = np.vdot(first[trimers], both[trimers]) / np.vdot(first[trimers], first[trimers])
    tensors = np.split(tensors, np.cumsum([len(parts(one)) for one in clusters])[:-1])
    dipoles = np.array([dipoles_beyond_pairs(one, found[:len(one) // 3]) for one, found in zip(clusters, tensors)])
    known, model = factor * first, dipoles[:len(labelled)]
    scale = np.vdot(model, known) / np.vdot(model, model)
    rest = [*known, *scale * dipoles[len(labelled):]]
    found = [up_to_pairs(one, len(cluster) // 3) + more for cluster, one, more in zip(clusters, tensors, rest)]
    return found, factor, np.linalg.norm(known - scale * model) / np.linalg.norm(known)


def load():
    """Positions of clusters to be labelled, labels of the first of them (clusters, 2, 3, 3), positions of others."""
    with np.load(RESULTS) as content:
        labelled, others = (np.split(content[name], content[f"ends_of_{name}"])[:-1] for name in ("labelled", "others"))
        return labelled, content["beyond_pairs"], others


def save(labelled, beyond, others):
    ends = [np.cumsum([len(one) for one in clusters]) for clusters in (labelled, others)]
    replace(RESULTS, beyond_pairs=beyond, labelled=np.concatenate(labelled), ends_of_labelled=ends[0],
            others=np.concatenate(others), ends_of_others=ends[1])


def main():
    if not RESULTS.is_file():
        labelled, others = clusters()
        save(labelled, np.zeros((0, 2, 3, 3)), others)
    (labelled, beyond, others), saved = load(), time.time()
    with ProcessPoolExecutor(available_threads(), get_context("spawn"), one_thread) as pool:
        for found in pool.map(beyond_pairs, labelled[len(beyond):]):
            beyond = np.concatenate([beyond, found[None]])
            if time.time() - saved > 60:
                save(labelled, beyond, others)
                saved = time.time()
    save(labelled, beyond, others)


if __name__ == "__main__":
    main()
