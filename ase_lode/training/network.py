"""Gradients of the loss of a network by its parameters, with the reverse pass alone."""

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from ase_lode.models.baseline import compositions
from ase_lode.models.two_passes import Graph, Part
from ase_lode.neighbors import NeighborList, PairList
from ase_lode.training.metrics import STRAINS, voigt
from ase_lode.training.ridge_training import finite, widen
from ase_lode.training.rows import KINDS

#: Largest displacement in Å, and largest strain, of the differences in d/dθ of forces and stresses: the error is 1e-10.
#: A strain moves far atoms far, so it is smaller.
DISPLACEMENT, STRAIN = 1e-5, 1e-6
#: Structures of a batch are divided into this many shares whatever the number of threads: same sums, same bits.
SHARES = 2
#: Size of the last layers' weights at the start, relative to one that keeps the variance.
OUTPUT = 0.1
#: Steps of the hidden layers' biases: larger ones move units to the flat minimum of x/(1 + e^-x), where they stay.
HIDDEN_BIAS = 0.1
#: Sources met by fewer centres than this share count as if so many met them.
MET = 0.1


class Sample:
    """A labelled structure with its pairs, ready to be displaced.

    Parameters
    ----------
    structure : Structure
    network : Network
    energy : float or None
        Label less the baseline, in eV.

    Attributes
    ----------
    labels : dict of str to array
        Responses by target, as a network learns them; see `Target.label`.
    """

    def __init__(self, structure, network, energy):
        self.structure, self.system, self.energy = structure, structure.system, energy
        self.forces = structure.forces
        self.dipole = None if self.system.pbc.any() else structure.dipole  # that of a periodic cell is multivalued
        self.stress, self.charges, self.labels = structure.stress, structure.charges, {}
        self.species = self.system.species(network.elements)
        self.counts = np.bincount(self.species, minlength=len(network.elements))
        self.pairs = NeighborList(network.cutoff).pairs(self.system, network.density.cutoff)
        self._cutoff = network.density.cutoff

    def __len__(self):
        return len(self.species)

    def moved(self, displacement, strain):
        """The system and its pairs after a displacement, (atoms, 3), and a strain r → r(1 + ε)ᵀ."""
        system, pairs = self.system, self.pairs
        if displacement is None:
            return system, pairs
        deform = np.eye(3) + strain
        vectors = (pairs.vectors + displacement[pairs.j] - displacement[pairs.i]) @ deform.T
        system = replace(system, positions=(system.positions + displacement) @ deform.T, cell=system.cell @ deform.T)
        return system, replace(pairs, vectors=vectors, distances=np.sqrt((vectors**2).sum(axis=1)))

    def neighbors(self, pairs):
        """The structure's pairs for fields of the same cutoff, and a search for others."""
        return _Known(pairs, self._cutoff)


@dataclass(frozen=True)
class _Known:
    known: PairList
    cutoff: float

    def pairs(self, system, cutoff, n_threads):
        """Pairs of the structure inside a cutoff."""
        return self.known if cutoff == self.cutoff else NeighborList(cutoff).pairs(system, cutoff, n_threads)


def join(samples, moves, n_elements):
    """One graph of all samples, followed by one lonely atom of each element."""
    moved = [sample.moved(*move) for sample, move in zip(samples, moves)]
    atoms = np.concatenate(([0], np.cumsum([len(s) for s in samples])))
    pairs = np.concatenate(([0], np.cumsum([len(p.j) for _, p in moved])))
    first = [p.first[:-1] + start for (_, p), start in zip(moved, pairs)]
    joined = PairList(np.concatenate([*first, np.full(n_elements + 1, pairs[-1])]),
                      np.concatenate([p.i + start for (_, p), start in zip(moved, atoms)]),
                      np.concatenate([p.j + start for (_, p), start in zip(moved, atoms)]),
                      np.concatenate([p.vectors for _, p in moved]), np.concatenate([p.distances for _, p in moved]))
    parts = [Part(system, slice(a, b), slice(c, d), sample.neighbors(p))
             for (system, p), sample, a, b, c, d in zip(moved, samples, atoms, atoms[1:], pairs, pairs[1:])]
    return Graph(np.concatenate([*(s.species for s in samples), np.arange(n_elements)]), joined, parts)


class SharedLoss:
    """A loss whose batches are shared among threads, with the same bits for any number of them.

    Parameters
    ----------
    network : Network
    n_threads : int
    """

    def __init__(self, network, n_threads):
        self.network, self.n_threads = network, n_threads
        self._copies = [copy.deepcopy(network) for _ in range(SHARES)]

    def gradient(self, parameters, samples, energy_weight=1.0):
        """Loss and its derivatives by the parameters.

        Parameters
        ----------
        parameters : array
            All parameters in one row.
        samples : list of Sample
        energy_weight : float
            Multiplies the energies' part.

        Returns
        -------
        loss : float
        gradient : array
            Of the shape of `parameters`.
        """
        shares = [samples[k::SHARES] for k in range(SHARES) if samples[k::SHARES]]

        def work(share):
            return self._share(self._copies[share], parameters, shares[share], energy_weight)

        with ThreadPoolExecutor(self.n_threads) as pool:
            results = list(pool.map(work, range(len(shares))))
        return sum(loss for loss, _ in results), sum(gradient for _, gradient in results)


class Loss(SharedLoss):
    """Sum over structures of squared residuals, each divided by its label's scale, and its gradient.

    With F = -dE/dr the gradient of a force term w |F - F_ref|² by the parameters θ is -2 d/dε dE/dθ(r + εv) at ε = 0,
    v = w (F - F_ref): a central difference of two reverse passes. Stresses are strains by w (σ - σ_ref) in the same
    way.

    Parameters
    ----------
    network : Network
    scales : Scales
        Divisors of the residuals; energies in eV per square root of atoms.
    dipole : float
        Divisor of dipoles in e·Å, 0 leaves them out. The charges are the strengths of the first field of 1/r.
    charges : float
        Divisor of reference charges in e, 0 leaves them out.
    n_threads : int

    Notes
    -----
    Parameters come in one row: those of the network, and corrections to the reference energies of the elements in eV.
    """

    #: Units of errors as they are shown, and by what they are multiplied.
    units = {"energy": ("meV/atom", 1e3), "forces": ("meV/Å", 1e3), "stress": ("meV/Å³", 1e3), "dipole": ("e·Å", 1)}

    def __init__(self, network, scales, dipole=0.0, charges=0.0, n_threads=1):
        super().__init__(network, n_threads)
        self.scales, self._dipole, self._charges = scales, dipole, charges
        #: What errors are compared with in validation.
        self.spreads = {kind: getattr(scales, kind) for kind in KINDS if getattr(scales, kind) > 0}

    def errors(self, parameters, samples, free_references=False):
        """See `errors`."""
        return errors(self.network, parameters, samples, self.n_threads, free_references)

    def _share(self, network, parameters, samples, energy_weight):
        n_elements, references = len(network.elements), parameters[network.n_parameters:]
        parameters = network.unpack(parameters)
        graph = join(samples, [(None, None)] * len(samples), n_elements)
        energies, charges, state = network.compute(parameters, graph)
        gradient, virials = network.pull_back(parameters, state, np.ones(len(energies)))
        zero = references - energies[-n_elements:]
        loss, doubled, moves, seeds, charge_seeds = 0.0, [], [], [], []
        d_references = np.zeros(n_elements)
        for number, (sample, part) in enumerate(zip(samples, graph.parts)):
            seed, more = 0.0, 0.0
            if sample.energy is not None and self.scales.energy > 0:
                error = energies[part.atoms].sum() + sample.counts @ zero - sample.energy
                factor = energy_weight / (self.scales.energy**2 * len(sample))
                more, seed = factor * error**2, factor * error
                d_references += 2 * seed * sample.counts
            displacement, strain, term = self._residuals(sample, gradient[part.atoms], virials[number])
            step = 1.0 / max(abs(displacement).max() / DISPLACEMENT, abs(strain).max() / STRAIN, 1e-300)
            charge_seed, charge_term = self._charge_residuals(sample, charges[part.atoms])
            loss += more + term + charge_term
            for sign in (1, -1):
                doubled.append(sample)
                moves.append((sign * step * displacement, sign * step * strain))
                seeds.append(seed - sign / step)
                charge_seeds.append(charge_seed)
        d_network = self._pull(network, parameters, doubled, moves, seeds, charge_seeds)
        return loss, np.concatenate([d_network, d_references])

    def _residuals(self, sample, gradient, virial):
        """Displacement v and strain of a structure, and its part of the loss."""
        displacement, strain, loss = np.zeros_like(gradient), np.zeros((3, 3)), 0.0
        if sample.forces is not None and self.scales.forces > 0:
            error = -gradient - sample.forces
            displacement = error / self.scales.forces**2
            loss += np.sum(error * displacement)
        if sample.stress is not None and self.scales.stress > 0:
            volume = sample.system.measure
            error = voigt(virial) / volume - sample.stress
            v = -error / (self.scales.stress**2 * volume)
            strain = np.tensordot(v, STRAINS, 1)
            loss += np.sum(error**2) / self.scales.stress**2
        return displacement, strain, loss

    def _charge_residuals(self, sample, charges):
        """Half of dL/dq of every atom and field, for each of the two passes, and that part of the loss."""
        seed, loss = np.zeros_like(charges), 0.0
        channel = self.network.coulomb
        if channel is None:
            return seed, loss
        q = charges[:, channel]
        if self._dipole and sample.dipole is not None:
            positions = sample.system.positions
            error = q @ positions - sample.dipole
            seed[:, channel] += positions @ error / self._dipole**2
            loss += np.sum(error**2) / self._dipole**2
        if self._charges and sample.charges is not None:
            error = q - sample.charges
            seed[:, channel] += error / self._charges**2
            loss += np.sum(error**2) / self._charges**2
        return seed, loss

    @staticmethod
    def _pull(network, parameters, samples, moves, seeds, charge_seeds):
        n_elements = len(network.elements)
        graph = join(samples, moves, n_elements)
        _, charges, state = network.compute(parameters, graph)
        d_energies, d_charges = np.zeros(len(graph.species)), np.zeros_like(charges)
        for part, sample, seed, charge_seed in zip(graph.parts, samples, seeds, charge_seeds):
            d_energies[part.atoms] = seed
            d_charges[part.atoms] = charge_seed
            d_energies[-n_elements:] -= seed * sample.counts
        result = np.zeros(network.n_parameters)
        network.pull_back(parameters, state, d_energies, d_charges, network.unpack(result), need_gradient=False)
        return result


def make_samples(structures, network, baseline):
    """Structures with their pairs; the baseline's repulsion is zero on all of them."""
    counts = compositions([s.system for s in structures], baseline.elements)
    return [Sample(s, network, None if s.energy is None else s.energy - count @ baseline.energies)
            for s, count in zip(structures, counts)]


def in_order(work, network, items, n_threads):
    """``work(network, item)`` of all items in their order, a copy of the network on each thread."""
    def share(k):
        own = copy.deepcopy(network)
        return [work(own, item) for item in items[k::n_threads]]

    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(pool.map(share, range(n_threads)))
    return [parts[k % n_threads][k // n_threads] for k in range(len(items))]


def thinned(samples, atoms):
    """Every so-many-th structure, as many as hold about `atoms` atoms at most."""
    return samples[:: max(1, -(-sum(map(len, samples)) // atoms))]


def density_ranges(network, samples):
    """Smallest and largest density coefficients at l = 0 by element, each (elements, columns)."""
    n = len(network.elements)
    lower = np.full((n, n * network.density.lanes), np.inf)
    upper = -lower
    for sample in samples:
        widen(lower, upper, sample.species, network.own(sample.pairs, sample.species)[:, 0])
    return finite(lower, upper)


def errors(network, parameters, samples, n_threads=1, free_references=False):
    """Root mean square errors of energy per atom (eV), forces (eV/Å), stress (eV/Å³) and dipole (e·Å).

    With `free_references` energies are judged after the reference energies that suit these structures best: those of
    averaged weights are not the average of theirs.
    """
    n, references = len(network.elements), parameters[network.n_parameters:]
    parameters = network.unpack(parameters)
    zero = references - network.isolated(parameters)

    def residuals_of(network, sample):
        graph, here = join([sample], [(None, None)], n), {}
        energies, charges, state = network.compute(parameters, graph)
        gradient, virials = network.pull_back(parameters, state, np.ones(len(energies)))
        if sample.energy is not None:
            here["energy"] = (energies[:-n].sum() + sample.counts @ zero - sample.energy) / len(sample)
        if sample.forces is not None:
            here["forces"] = (gradient[:-n] + sample.forces).ravel()
        if sample.stress is not None:
            here["stress"] = voigt(virials[0]) / sample.system.measure - sample.stress
        if sample.dipole is not None and network.coulomb is not None:
            here["dipole"] = charges[:-n, network.coulomb] @ sample.system.positions - sample.dipole
        return here

    found = in_order(residuals_of, network, samples, n_threads)
    kinds = sorted({kind for here in found for kind in here})
    residuals = {kind: np.hstack([here[kind] for here in found if kind in here]) for kind in kinds}
    if free_references and "energy" in residuals:
        compositions = np.array([s.counts / len(s) for s in samples if s.energy is not None])
        best, _, rank, _ = np.linalg.lstsq(compositions, residuals["energy"])
        if rank < len(compositions):  # fewer structures would always be met exactly
            residuals["energy"] -= compositions @ best
    return {kind: float(np.sqrt(np.mean(values**2))) for kind, values in residuals.items()}


def initial(network, samples, seed, size=40):
    """Starting parameters: channels and inputs of unit variance on a few structures, small outputs.

    Returns
    -------
    parameters, sizes : arrays, shape (parameters + elements,)
        See `Loss`. `sizes` holds the typical size of every parameter: what a step of the optimiser is relative to.
        Those of means and scales are 0: they stay, and reference energies take steps of their own.
    """
    rng, n_elements = np.random.default_rng(seed), len(network.elements)
    flat = np.zeros(network.n_parameters + n_elements), np.repeat([1.0, 0.0], [network.n_parameters, n_elements])
    theta, sizes = map(network.unpack, flat)
    chosen = _varied(samples, n_elements, size)
    graph = join(chosen, [(None, None)] * len(chosen), len(network.elements))
    for prefix in ("first", "second"):
        for depth in range(network.depth):
            name = f"{prefix}.weights{depth}"
            sizes[name] /= np.sqrt(network.shapes[name][1])
            size = sizes[name] * (OUTPUT if depth == network.depth - 1 else 1)
            theta[name][:] = rng.standard_normal(size.shape) * size
            if depth < network.depth - 1:
                sizes[f"{prefix}.bias{depth}"] *= HIDDEN_BIAS
        sizes[f"{prefix}.direct"] *= OUTPUT / np.sqrt(network.n_inputs)
        theta[f"{prefix}.scale"][:] = 1.0
        for name in ("mean", "scale"):
            sizes[f"{prefix}.{name}"][:] = 0.0
    theta[f"first.bias{network.depth - 1}"][:, :network.strengths] = rng.standard_normal(
        (len(network.elements), network.strengths))
    for number, prefix in enumerate(("first", "second")):
        for name, values in network.sources(theta, graph)[number].items():
            if not values.shape[2]:
                continue
            sizes[name][:] = _channel_sizes(network, graph.species, values, radial=not name.endswith("fields"))
            theta[name][:] = rng.standard_normal(sizes[name].shape) * sizes[name]
        mean, scale = _moments(network, graph.species, network.inputs(theta, graph)[number])
        theta[f"{prefix}.mean"][:], theta[f"{prefix}.scale"][:] = mean, scale
    return flat


def _varied(samples, n_elements, size):
    """Every so-many-th structure, and for each pair of elements within the cutoff the one where it is closest.

    A pair that is not met here would never be learned; one that is met near the cutoff alone would dwarf all else where
    it is closer: on a rattled oxide slab, inputs of hundreds of their spreads, and no training survived them.
    """
    chosen, nearest = dict.fromkeys(range(0, len(samples), max(1, len(samples) // size))), {}
    closest = np.full(n_elements * (n_elements + 1), np.inf)
    for number, sample in enumerate(samples):
        distances, species = np.full_like(closest, np.inf), sample.species
        np.minimum.at(distances, n_elements * species[sample.pairs.i] + species[sample.pairs.j], sample.pairs.distances)
        distances[n_elements**2 + species] = 0.0  # the elements themselves, which may be alone
        nearest |= dict.fromkeys(np.flatnonzero(distances < closest), number)
        closest = np.minimum(closest, distances)
    return [samples[number] for number in chosen | dict.fromkeys(nearest.values())]


def _channel_sizes(network, species, values, radial):
    """Sizes of weights that bring the channels of every element and l to unit variance; 0 for empty columns.

    The radial functions of one source share their spread, and count the less the more often they oscillate: channels
    then start smooth. On the dipeptides this takes a tenth off the forces' validation error and a quarter off the
    energies', beside a start with equal shares. A source that hardly any centre meets is not raised to the others: its
    few centres would have invariants that dwarf all others.
    """
    lanes, n_radial = network.density.lanes, network.density.n_radial
    square = np.zeros((len(network.elements), len(network.orders), values.shape[2]))
    met = np.ones((len(network.elements), 1, values.shape[2] // lanes, 1))
    for s in np.unique(species):
        here = values[species == s]
        for l, block in enumerate(network.orders):
            square[s, l] = np.mean(here[:, block] ** 2, axis=(0, 1))
        met[s, 0, :, 0] = np.mean(here[:, 0].reshape(len(here), -1, lanes).any(axis=2), axis=0)
    active = square > 1e-24
    if radial:
        by_source = square.reshape(*square.shape[:2], -1, lanes)
        share = (1.0 + np.arange(lanes)) ** -2.0
        share /= share[:n_radial].mean()
        mean = by_source.sum(axis=3, keepdims=True) / n_radial * (MET / np.clip(met, 1e-9, MET))
        square = (mean / share).reshape(square.shape)
    sizes = np.where(active, 1.0 / np.sqrt(np.maximum(square, 1e-24)), 0.0)
    sizes /= np.sqrt(np.maximum(active.sum(axis=2, keepdims=True), 1))
    return np.repeat(sizes.reshape(-1, values.shape[2], 1), network.channels, axis=2)


def _moments(network, species, inputs):
    """Mean and inverse spread of the inputs of each element.

    Inputs that hardly change in these data count as if they had a tenth of the spread of their kind: elsewhere they may
    change, and must not swamp the others then.
    """
    mean, scale = np.zeros((2, len(network.elements), inputs.shape[1]))
    for s in np.unique(species):
        spread = inputs[species == s].std(axis=0).reshape(-1, network.channels)
        typical = np.sqrt(np.mean(spread**2, axis=1, keepdims=True))
        mean[s] = inputs[species == s].mean(axis=0)
        scale[s] = 1.0 / np.maximum(np.maximum(spread, 0.1 * typical), 1e-3).ravel()
    return mean, scale
