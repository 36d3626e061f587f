"""Initial velocities, the removal of drift, and the number of degrees of freedom a temperature refers to."""

import numpy as np
from ase import units

#: Constraints that act inside molecules and leave the total momentum conserved.
INTERNAL = {"FixBondLengths", "FixLinearTriatomic", "FixInternals"}
#: Total momenta below this share of the sum of all momenta count as zero: far below the thermal 0.4/sqrt(N), far above
#: what the tolerance of a particle mesh adds.
ZERO = 1e-4


def conserves_momentum(atoms):
    """Whether no constraint ties the atoms to the laboratory."""
    return all(type(constraint).__name__ in INTERNAL for constraint in atoms.constraints)


def is_isolated(atoms):
    """Whether the total angular momentum is conserved as well."""
    return not atoms.pbc.any() and conserves_momentum(atoms)


def draw_velocities(atoms, temperature_K, rng, zero_momentum=True):
    """Set Maxwell-Boltzmann momenta, without drift (isolated: nor rotation) if asked.

    Parameters
    ----------
    atoms : ase.Atoms
        Changed in place.
    temperature_K : float
        Temperature in K.
    rng : numpy.random.Generator
        Source of the random numbers.
    zero_momentum : bool
        Remove drift and rotation where they are conserved.
    """
    spread = np.sqrt(units.kB * temperature_K * atoms.get_masses())
    atoms.set_momenta(spread[:, None] * rng.standard_normal((len(atoms), 3)))
    if zero_momentum and conserves_momentum(atoms):
        remove_drift(atoms, is_isolated(atoms))


def remove_drift(atoms, rotation):
    """Set the total momentum, and with `rotation` the angular momentum, to zero.

    Solves I ω = L for the rotation; the pseudo-inverse serves linear molecules and single atoms.
    """
    masses = atoms.get_masses()[:, None]
    momenta = atoms.get_momenta()
    momenta -= masses * momenta.sum(axis=0) / masses.sum()
    if rotation:
        arms, inertia = _rotation(atoms)
        omega = np.linalg.pinv(inertia, rcond=1e-6, hermitian=True) @ np.cross(arms, momenta).sum(axis=0)
        momenta -= masses * np.cross(omega, arms)
    atoms.set_momenta(momenta)


def degrees_of_freedom(atoms):
    """Number of quadratic terms in the kinetic energy that are not fixed by constraints or conservation laws.

    Total momentum and, for isolated systems, angular momentum count as conserved where they are zero, as the momenta
    stand now; a thermostat that scales all momenta alike then keeps them zero.
    """
    count = int(atoms.get_number_of_degrees_of_freedom())
    momenta = atoms.get_momenta()
    size = np.abs(momenta).sum()
    if not conserves_momentum(atoms) or np.abs(momenta.sum(axis=0)).max() > ZERO * size:
        return count
    count -= 3
    if is_isolated(atoms):
        arms, inertia = _rotation(atoms)
        if np.abs(np.cross(arms, momenta).sum(axis=0)).max() <= ZERO * size * max(np.abs(arms).max(), 1.0):
            count -= int(np.linalg.matrix_rank(inertia, tol=1e-6 * max(np.abs(inertia).max(), 1e-12), hermitian=True))
    return count


def _rotation(atoms):
    """Positions about the centre of mass in Å, and the inertia tensor in amu Å²."""
    masses = atoms.get_masses()
    arms = atoms.positions - masses @ atoms.positions / masses.sum()
    inertia = np.eye(3) * np.einsum("i,ic,ic", masses, arms, arms) - np.einsum("i,ic,id->cd", masses, arms, arms)
    return arms, inertia
