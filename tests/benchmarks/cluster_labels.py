"""What three to six water molecules do to each other's polarizabilities beyond pairs, by Hartree-Fock.

``python tests/benchmarks/cluster_labels.py`` cuts clusters out of liquid water, of which it runs dynamics with
the potential `water`, labels them (20 s each on one core) and writes ``results/cluster_labels.npz`` every minute;
interrupted, run it again. It needs ``pip install -e .[label] basis-set-exchange``. `dimer_levels.py` adds the molecules
and their pairs.

The part beyond pairs is at most 2 % of the whole, so a level and a basis will do that would not for the rest.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

import ase.io
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from dimer_labels import HartreeFock, one_thread

from ase_lode import LODECalculator

RESULTS = Path(__file__).parent / "results" / "cluster_labels.npz"
LIQUID = Path(__file__).parent / "water_192.extxyz"
BASIS = "aug-cc-pvdz"
COUNT = 96
#: Molecules of the clusters, in turn, and of how many nearest to one they are drawn.
SIZES, NEAREST = (3, 4, 3, 5, 3, 4, 3, 6), 8
#: Of the dynamics: K, fs of a step, 1/fs, steps before the first cluster and from one to the next.
TEMPERATURE, TIMESTEP, FRICTION, FIRST, APART = 350.0, 0.5, 0.01, 4000, 100
SEED = 1


def clusters():
    """Positions of the clusters, O, H, H of one molecule after another, (atoms, 3) in Å."""
    atoms, rng = ase.io.read(LIQUID), np.random.default_rng(SEED)
    atoms.calc = LODECalculator("water")
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(atoms, TIMESTEP * units.fs, temperature_K=TEMPERATURE, friction=FRICTION / units.fs,
                        fixcm=False, rng=rng)
    dynamics.run(FIRST)
    for number in range(COUNT):
        dynamics.run(APART)
        yield cut(atoms, SIZES[number % len(SIZES)], rng)


def cut(atoms, size, rng):
    """Positions of a molecule of the liquid and of size - 1 of its nearest neighbours."""
    oxygens, hydrogens = np.flatnonzero(atoms.numbers == 8), np.flatnonzero(atoms.numbers == 1)
    centre = rng.choice(oxygens)
    near = oxygens[np.argsort(atoms.get_distances(centre, oxygens, mic=True))[1:NEAREST + 1]]
    molecules = []
    for oxygen in (centre, *rng.choice(near, size - 1, replace=False)):
        place = atoms.get_distance(centre, oxygen, mic=True, vector=True) if oxygen != centre else np.zeros(3)
        bonds = atoms.get_distances(oxygen, hydrogens, mic=True, vector=True)
        bonds = bonds[np.argsort(np.linalg.norm(bonds, axis=1))[:2]]
        molecules.append(place + np.vstack([np.zeros(3), bonds]))
    return np.concatenate(molecules)


def pieces(positions):
    """Positions of each molecule of a cluster, then of each pair."""
    molecules = positions.reshape(-1, 3, 3)
    return [molecules[list(chosen)].reshape(-1, 3) for size in (1, 2)
            for chosen in combinations(range(len(molecules)), size)]


def up_to_pairs(tensors, size):
    """The molecules by themselves and what they do to each other in pairs, from the tensors of so many's pieces."""
    return sum(tensors[size:]) - (size - 2) * sum(tensors[:size])


def beyond_pairs(positions):
    """The rest by Hartree-Fock, (3, 3) in bohr³."""
    whole, *parts = (HartreeFock(part, BASIS).polarizability for part in [positions, *pieces(positions)])
    return whole - up_to_pairs(parts, len(positions) // 3)


def load():
    """Positions and labels, by number."""
    if not RESULTS.is_file():
        return [], []
    with np.load(RESULTS) as content:
        return np.split(content["positions"], content["ends"])[:-1], list(content["beyond_pairs"])


def save(positions, labels):
    """Replace the file in one step."""
    draft = RESULTS.with_suffix(".draft.npz")
    np.savez_compressed(draft, positions=np.concatenate(positions), ends=np.cumsum([len(one) for one in positions]),
                        beyond_pairs=labels)
    os.replace(draft, RESULTS)


def main():
    positions, labels = load()
    new, saved = list(clusters())[len(labels):], time.time()
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), one_thread) as pool:
        for one, found in zip(new, pool.map(beyond_pairs, new)):
            positions.append(one)
            labels.append(found)
            if time.time() - saved > 60:
                save(positions, labels)
                saved = time.time()
    save(positions, labels)


if __name__ == "__main__":
    main()
