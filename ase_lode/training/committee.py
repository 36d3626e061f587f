"""What a committee of networks teaches one: its mean on structures that the data's own dynamics passes through."""

from dataclasses import replace

import numpy as np

from ase_lode.training.metrics import voigt
from ase_lode.training.network import Sample, join, thinned

#: Structures drawn from each labelled one, and the steps of dynamics between them.
DRAWN, STEPS = 8, 15
#: Atoms at most of the labelled structures that are left.
ATOMS = 50_000
#: Labelled structures of which the curvature is taken.
PROBED = 40
#: Step times the root of the mean curvature: the stiffest bond is some eight times stiffer and still stable.
STRIDE = 0.3
#: Forces of so many times the largest labelled one are no longer those of the data.
BEYOND = 2.0
#: Displacement in Å at which curvatures are taken.
PROBE = 1e-3
#: Structures evaluated together.
BATCH = 16


def taught(network, members, samples, progress, seed):
    """Structures near the labelled ones, with the committee's mean as labels.

    Every labelled structure, or as many of a large set as hold `ATOMS` atoms, is left with random velocities at the
    temperature of the data and followed at constant energy on the first member's surface. Masses decide when a system
    is somewhere, not where, so all are one. The temperature is the configurational one, kT = <|∇E|²>/<∇²E> (Butler et
    al., J. Chem. Phys. 109, 6519 (1998)), of the labelled forces and the first member's curvature.

    Parameters
    ----------
    network : Network
    members : list of array
        Weights of the committee.
    samples : list of Sample
        Labelled structures, some with forces.
    progress : Progress
    seed : int

    Returns
    -------
    list of Sample
    """
    rng = np.random.default_rng([seed, 3])
    references = np.mean([weights[network.n_parameters:] for weights in members], axis=0)
    members = [network.unpack(weights) for weights in members]
    forces = np.concatenate([s.forces.ravel() for s in samples if s.forces is not None])
    curvature = _curvature(network, members[0], samples[:: max(1, len(samples) // PROBED)], rng)
    if not curvature > 0:
        progress.say("no structures for the committee: its energies have no minima here")
        return []
    speed, stride = np.sqrt(np.mean(forces**2) / curvature), STRIDE / np.sqrt(curvature)
    largest = BEYOND * abs(forces).max()
    starts = thinned(samples, ATOMS)
    result, batches = [], range(0, len(starts), BATCH)
    for start in progress.track(batches, "structures for the committee", len(batches)):
        walkers = [(s, speed * rng.standard_normal((len(s), 3))) for s in starts[start:start + BATCH]]
        for _ in range(DRAWN):
            for _ in range(STEPS):
                walkers = _step(network, members[0], walkers, stride, largest)
            here = _labelled(network, members, references, [s for s, _ in walkers])
            result += [s for s in here if abs(s.forces).max() < largest]
    return result


def _step(network, parameters, walkers, stride, largest):
    """A leapfrog step of all walkers, (structure, velocities), but those whose forces tell that they left the data."""
    gradients = _gradients(network, parameters, [sample for sample, _ in walkers])
    faster = [(sample, v - stride * g) for (sample, v), g in zip(walkers, gradients) if abs(g).max() < largest]
    return [(_moved(network, sample, stride * v), v) for sample, v in faster]


def _curvature(network, parameters, samples, rng):
    """Mean of d²E/dx² over all coordinates in eV/Å², from differences of the gradient along random directions."""
    values = []
    for start in range(0, len(samples), BATCH):
        here = samples[start:start + BATCH]
        moves = [rng.choice([-PROBE, PROBE], size=(len(s), 3)) for s in here]
        ends = [_gradients(network, parameters, [_moved(network, s, sign * move) for s, move in zip(here, moves)])
                for sign in (1, -1)]
        values += [np.mean((up - down) * move) / (2 * PROBE**2) for up, down, move in zip(*ends, moves)]
    return np.mean(values)


def _moved(network, sample, step):
    """A structure elsewhere, without labels."""
    structure = sample.structure
    system = replace(structure.system, positions=structure.system.positions + step)
    return Sample(type(structure)(system), network, None)


def _gradients(network, parameters, samples):
    """dE/dr of each structure."""
    if not samples:
        return []
    graph = join(samples, [(None, None)] * len(samples), len(network.elements))
    energies, _, state = network.compute(parameters, graph)
    gradient, _ = network.pull_back(parameters, state, np.ones(len(energies)))
    return [gradient[part.atoms] for part in graph.parts]


def _labelled(network, members, references, samples):
    """The same structures with the mean energies, forces, stresses and dipoles of the members as labels."""
    if not samples:
        return []
    n = len(network.elements)
    graph = join(samples, [(None, None)] * len(samples), n)
    energies, gradient, virials, charges = 0.0, 0.0, 0.0, 0.0
    for parameters in members:
        e, q, state = network.compute(parameters, graph)
        g, v = network.pull_back(parameters, state, np.ones(len(e)))
        energies, gradient, virials = energies + e, gradient + g, virials + v
        charges = charges + q
    result = []
    for number, (part, sample) in enumerate(zip(graph.parts, samples)):
        system, count = sample.system, len(members)
        energy = (energies[part.atoms].sum() - energies[-n:] @ sample.counts) / count + references @ sample.counts
        labels = {"forces": -gradient[part.atoms] / count}
        if network.coulomb is not None:
            labels["dipole"] = charges[part.atoms, network.coulomb] @ system.positions / count
        if system.pbc.all():
            labels["stress"] = voigt(virials[number]) / (count * system.measure)
        result.append(Sample(replace(sample.structure, **labels), network, energy))
    return result
