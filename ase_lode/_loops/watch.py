"""What a run is judged by at every step, in one pass: shifts, kinetic energy, bonds."""

import math

from ase_lode._loops.compile import loop


@loop
def judge(positions, before, carry, momenta, masses, first, second, offsets, longest):
    """The extremes of a step.

    Parameters
    ----------
    positions, before, momenta : array, shape (atoms, 3)
        Now, one step ago, now.
    carry : array, shape (3, 3)
        Moves `before` along with the cell, from the right.
    masses : array, shape (atoms,)
        Of the atoms.
    first, second : array, shape (bonds,)
        Atoms of each bond.
    offsets : array, shape (bonds, 3)
        Lattice vector to add to the second atom.
    longest : array, shape (bonds,)
        Lengths beyond which a bond is broken.

    Returns
    -------
    shift, twice_kinetic : float
        Largest shift of a coordinate and twice the kinetic energy; not finite if any coordinate or momentum is not.
    broken : int
        The bond that exceeds its limit most, or -1.
    length : float
        Its length.
    """
    shift, total, twice_kinetic = 0.0, 0.0, 0.0
    for i in range(len(positions)):
        square = 0.0
        for c in range(3):
            carried = before[i, 0] * carry[0, c] + before[i, 1] * carry[1, c] + before[i, 2] * carry[2, c]
            moved = abs(positions[i, c] - carried)
            shift = max(shift, moved)
            total += moved
            square += momenta[i, c] * momenta[i, c]
        twice_kinetic += square / masses[i]
    broken, excess, length = -1, 0.0, 0.0
    for bond in range(len(first)):
        i, j = first[bond], second[bond]
        square = 0.0
        for c in range(3):
            square += (positions[j, c] - positions[i, c] + offsets[bond, c]) ** 2
        if math.sqrt(square) - longest[bond] > excess:
            broken, length = bond, math.sqrt(square)
            excess = length - longest[bond]
    return (shift if math.isfinite(total) else total), twice_kinetic, broken, length
