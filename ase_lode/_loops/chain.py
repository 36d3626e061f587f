"""Nosé-Hoover chains: few numbers but many steps, in Python longer than the forces of a small molecule."""

import math

from ase_lode._loops.compile import inlined, loop


@inlined
def _kick(link, time, force, masses, momenta):
    """Half a kick, between two quarters of the friction by the next link."""
    friction = 1.0
    if link + 1 < len(masses):
        friction = math.exp(-0.5 * time * momenta[link + 1] / masses[link + 1])
    momenta[link] = (momenta[link] * friction + time * force) * friction


@inlined
def _force(link, twice_kinetic, dof, kT, masses, momenta):
    if link == 0:
        return twice_kinetic - dof * kT
    return momenta[link - 1] ** 2 / masses[link - 1] - kT


@loop
def integrate_chain(twice_kinetic, dof, kT, masses, positions, momenta, delta, shares):
    """Let a Nosé-Hoover chain act on what it thermostats for a time.

    The factorisation of Martyna, Tuckerman, Tobias and Klein, Mol. Phys. 87, 1117 (1996).

    Parameters
    ----------
    twice_kinetic : float
        Twice the kinetic energy of the thermostatted momenta in eV.
    dof : float
        Their degrees of freedom.
    kT : float
        Target in eV.
    masses, positions, momenta : array, shape (links,)
        Of the chain; positions and momenta are changed in place.
    delta : float
        Time in ASE's unit.
    shares : array, shape (parts,)
        Coefficients of the factorisation.

    Returns
    -------
    float
        Factor of the thermostatted momenta.
    """
    factor = 1.0
    for share in shares:
        time = share * delta
        for link in range(len(masses) - 1, -1, -1):
            force = _force(link, factor**2 * twice_kinetic, dof, kT, masses, momenta)
            _kick(link, time / 2, force, masses, momenta)
        for link in range(len(masses)):
            positions[link] += time * momenta[link] / masses[link]
        factor *= math.exp(-time * momenta[0] / masses[0])
        for link in range(len(masses)):
            force = _force(link, factor**2 * twice_kinetic, dof, kT, masses, momenta)
            _kick(link, time / 2, force, masses, momenta)
    return factor
