"""Fields of this installation against sums known otherwise; for the package's own potentials only."""

from math import gamma, pi

import numpy as np
from ase.build import bulk

from ase_lode.check.results import Finding, NotOffered
from ase_lode.features.expansions import expansions

#: Rock salt: lattice constant and nearest distance in Å.
LATTICE, NEAREST = 5.6, 2.8


def lattice_sums(subject, structures):
    """Fields 1/r^p of rock salt, p = 1 to 6, are its lattice sums (Madelung's constant for p = 1)."""
    if not subject.own:
        raise NotOffered("only for potentials of ase_lode")
    atoms = bulk("NaCl", "rocksalt", a=LATTICE)
    for exponent in range(1, 7):
        field = {"exponent": exponent, "max_angular": 0, "sources": "charges", "charges": {"Na": 1.0, "Cl": -1.0},
                 "cutoff": 0.9 * NEAREST}
        model = {"elements": ["Na", "Cl"], "density": {"cutoff": 2.0, "max_radial": 1, "max_angular": 0},
                 "fields": [field]}
        found = expansions(atoms, model)["fields"][0][:, 0, 0, 0] * np.sqrt(4 * pi) * NEAREST**exponent
        expected = alternating_sum(exponent) * np.array([1.0, -1.0])
        yield Finding(f"field 1/r^{exponent}", float(np.abs(found - expected).max()), 1e-6, "(nearest distance 1)")


def alternating_sum(exponent):
    """Σ (-1)^(i+j+k) / (i² + j² + k²)^(p/2) without the origin, from Jacobi's theta function.

    1/r^p = ∫ t^(p/2-1) exp(-t r²) dt / Γ(p/2), and Σ (-1)^n exp(-t n²) = θ₄, which for small t is
    sqrt(π/t) Σ exp(-π² (n + 1/2)² / t); Borwein & Borwein, Pi and the AGM (1987), chapter 9.
    """
    from scipy.integrate import quad

    n = np.arange(-12, 13)

    def theta(t):
        if t < 1:
            return np.sqrt(pi / t) * np.exp(-((pi * (n + 0.5)) ** 2) / t).sum()
        return ((-1.0) ** n * np.exp(-t * n**2)).sum()

    def integrand(u):  # t = u², which takes the root out of the origin
        return 2 * u ** (exponent - 1) * (theta(u * u) ** 3 - 1) if u > 0 else -2.0 * (exponent == 1)

    parts = [quad(integrand, a, b, epsabs=1e-12, limit=200)[0] for a, b in ((0, 1), (1, 6))]
    return sum(parts) / gamma(exponent / 2)
