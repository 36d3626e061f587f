"""Polarizability of a molecule whose charges flow along bonds and whose atoms have dipoles, all of them interacting.

In a field F the flows p and dipoles μ, x = (p, μ), minimise ½ xᵀHx - FᵀGᵀx, so that α = Gᵀ H⁻¹ G. H holds the Coulomb
energy of Gaussian charges and dipoles, and a stiffness more for every type of atom (charge, dipole) and of bond (split
charges: Nistor, Polihronov, Müser, Mosey, J. Chem. Phys. 125, 094108, 2006). Both are positive, so α is too. It grows
with a chain as physics demands, since no parameter knows the chain's length.
"""

import numpy as np
from ase.data import covalent_radii
from scipy.special import erf

#: Atoms closer than this times the sum of their covalent radii are bonded.
BONDED = 1.25
#: Widths (Å) of Gaussian charges and dipoles, not fitted: exp(-r²/w²).
CHARGE_WIDTHS = {1: 0.9, 6: 0.8, 7: 0.7, 8: 0.7, 16: 1.0}
DIPOLE_WIDTHS = {1: 0.6, 6: 0.6, 7: 0.6, 8: 0.6, 16: 1.0}
#: Charge also flows over hydrogen bonds up to this length (Å), ever harder: exp((r - BRIDGE) / DECAY).
LONGEST, BRIDGE, DECAY = 3.2, 2.0, 0.2
POLAR = (7, 8, 16)
#: Stiffnesses to begin with and to stay near: charges and bonds (1/Å), dipoles (1/Å³); how strongly, in Å⁶ per atom.
HARDNESS, BOND, HYDROGEN_BOND, DIPOLE, PRIOR = 0.3, 1.0, 20.0, {1: 8.0, 6: 1.5, 7: 8.0, 8: 8.0, 16: 0.1}, 5e-3
#: Components of a symmetric tensor, and their weights in its norm.
ROWS, COLUMNS, WEIGHTS = [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2], np.sqrt([1, 1, 1, 2, 2, 2])


class Network:
    """Bonds and atoms of one molecule, by type, and their interaction.

    Attributes
    ----------
    types : list of tuple
        Of each slot: every charge, every bond, every component of a dipole.
    factors : array, shape (slots,)
        Of the stiffness of the slot's type.
    start : array, shape (slots,)
        Stiffness to begin with.
    """

    def __init__(self, atoms):
        numbers, positions = atoms.numbers, atoms.positions - atoms.positions.mean(axis=0)
        n, vectors = len(atoms), positions - positions[:, None]
        distances = np.linalg.norm(vectors, axis=2)
        radii = covalent_radii[numbers]
        bonded = (distances < BONDED * (radii + radii[:, None])) & ~np.eye(n, dtype=bool)
        kinds = atom_types(numbers, bonded)
        ends = np.argwhere(np.triu(bonded))
        bridges = hydrogen_bonds(numbers, distances, bonded)
        flow = np.zeros((n, len(ends) + len(bridges)))
        for b, (i, j) in enumerate([*ends, *bridges]):
            flow[i, b], flow[j, b] = 1.0, -1.0
        m, size = flow.shape[1], flow.shape[1] + 3 * n
        self.reach = np.concatenate([flow.T @ positions, np.tile(np.eye(3), (n, 1))])
        self.slots = np.zeros((n + size, size))
        self.slots[:n, :m] = flow
        self.slots[n:] = np.eye(size)
        between = np.zeros((4 * n, size))
        between[:n, :m], between[n:, m:] = flow, np.eye(3 * n)
        widths = [np.array([table[z] for z in numbers]) for table in (CHARGE_WIDTHS, DIPOLE_WIDTHS)]
        self.coulomb = between.T @ interaction(vectors, distances, *widths) @ between
        self.types = [("hardness", kind) for kind in kinds]
        self.types += [("bond", *sorted((kinds[i], kinds[j]))) for i, j in ends]
        self.types += [("bridge", kinds[i][0]) for i, _ in bridges]
        self.types += [("dipole", kind) for kind in kinds for _ in range(3)]
        self.factors = np.ones(len(self.types))
        self.factors[n + len(ends) : n + m] = [np.exp((distances[i, j] - BRIDGE) / DECAY) for i, j in bridges]
        self.start = np.concatenate([np.full(n, HARDNESS), np.full(len(ends), BOND),
                                     np.full(len(bridges), HYDROGEN_BOND), np.repeat([DIPOLE[z] for z in numbers], 3)])

    def response(self, stiffness):
        """Return the polarizability (Å³), and minus its derivative by each slot's stiffness, (slots, 6)."""
        moved = np.linalg.solve(self.coulomb + (self.slots.T * (stiffness * self.factors)) @ self.slots, self.reach)
        each = self.slots @ moved
        return self.reach.T @ moved, self.factors[:, None] * each[:, ROWS] * each[:, COLUMNS]


def atom_types(numbers, bonded):
    """Return for each atom its element, its neighbours' and, where electrons are shared further, those of theirs.

    That is =O, and carbon with three neighbours of which two are carbon: in a ring.
    """
    near = [tuple(sorted(map(int, numbers[row]))) for row in bonded]
    further = [tuple(sorted(near[j] for j in np.flatnonzero(row))) for row in bonded]
    shared = [(z == 8 and len(one) == 1) or (z == 6 and len(one) == 3 and one.count(6) > 1)
              for z, one in zip(numbers, near)]
    return [(int(z), one, two if more else ()) for z, one, two, more in zip(numbers, near, further, shared)]


def hydrogen_bonds(numbers, distances, bonded):
    """Return pairs (acceptor, hydrogen) not joined by one or two bonds, the hydrogen's own atom being polar."""
    polar = np.isin(numbers, POLAR)
    hydrogen = (numbers == 1) & (bonded & polar).any(axis=1)
    apart = ~bonded & ~(bonded.astype(int) @ bonded > 0) & (distances < LONGEST)
    return np.argwhere(polar[:, None] & hydrogen & apart)


def interaction(vectors, distances, charge_widths, dipole_widths):
    """Return the Coulomb energy of charges and dipoles, shape (4n, 4n) in units of e²/4πε0: n charges, then dipoles."""
    n, same = len(distances), np.eye(len(distances))
    r, apart = distances + same, 1 - same

    def smeared(widths, others):
        """Factors of 1/r, r/r³ and 3rr/r⁵ of two Gaussians, and their joint width."""
        joint = np.hypot(widths[:, None], others)
        x = r / joint
        bell = np.exp(-x * x) / np.sqrt(np.pi)
        first = erf(x) - 2 * x * bell
        return apart * erf(x), apart * first, apart * (first - 4 / 3 * x**3 * bell), joint

    result = np.zeros((4 * n, 4 * n))
    plain, _, _, joint = smeared(charge_widths, charge_widths)
    result[:n, :n] = plain / r + 2 / np.sqrt(np.pi) * same / joint
    # The row's dipole and the column's charge.
    slope = (smeared(dipole_widths, charge_widths)[1] / r**3)[..., None] * vectors
    result[n:, :n] = slope.transpose(0, 2, 1).reshape(3 * n, n)
    result[:n, n:] = result[n:, :n].T
    _, first, second, joint = smeared(dipole_widths, dipole_widths)
    dipoles = (first / r**3 + 4 / (3 * np.sqrt(np.pi)) * same / joint**3)[..., None, None] * np.eye(3) \
        - (3 * second / r**5)[..., None, None] * vectors[..., :, None] * vectors[..., None, :]
    result[n:, n:] = dipoles.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
    return result


class ChargeFlow:
    """The stiffnesses, fitted to polarizabilities.

    Parameters
    ----------
    frames : list of Atoms
        With ``info["polarizability"]`` in Å³.
    steps : int
        Of the minimiser.
    """

    def __init__(self, frames, steps=10):
        networks = [Network(atoms) for atoms in frames]
        labels = [np.reshape(atoms.info["polarizability"], (3, 3)) for atoms in frames]
        start = {}
        for network in networks:
            start.update(zip(network.types, np.log(network.start)))
        self.index = {kind: k for k, kind in enumerate(sorted(start, key=repr))}
        self.logarithms = prior = np.array([start[kind] for kind in self.index])
        damping = 1e-2
        loss, normal, slope = self._equations(networks, labels, prior)
        for _ in range(steps):
            before = self.logarithms
            change = np.linalg.solve(normal + damping * np.diag(normal.diagonal()), -slope)
            self.logarithms = before + change * min(1, 1 / abs(change).max())
            found = self._equations(networks, labels, prior)
            if found[0] < loss:
                loss, normal, slope = found
                damping /= 5
            else:
                self.logarithms = before
                damping *= 10

    def _equations(self, networks, labels, prior):
        """Return the loss, and its quadratic approximation."""
        away = self.logarithms - prior
        loss, normal, slope = PRIOR * away @ away, PRIOR * np.eye(len(away)), PRIOR * away
        for network, label in zip(networks, labels):
            which = [self.index[kind] for kind in network.types]
            stiffness = np.exp(self.logarithms[which])
            tensor, shares = network.response(stiffness)
            weight = WEIGHTS / np.sqrt(len(network.reach))
            error = weight * (tensor - label)[ROWS, COLUMNS]
            rows = np.zeros((len(away), 6))
            np.add.at(rows, which, -stiffness[:, None] * shares * weight)
            loss += error @ error
            normal += rows @ rows.T
            slope += rows @ error
        return loss, normal, slope

    def predict(self, atoms):
        """Return the polarizability (Å³, 3 x 3)."""
        network = Network(atoms)
        return network.response(np.exp(self.logarithms[[self.index[kind] for kind in network.types]]))[0]
