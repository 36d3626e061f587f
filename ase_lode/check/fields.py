"""Densities and fields of this installation against what is known otherwise; for the package's own potentials only."""

from math import gamma, pi
from types import SimpleNamespace

import numpy as np
from ase import Atoms
from ase.build import bulk

from ase_lode.check.results import Finding, NotOffered
from ase_lode.features.density import DensityExpansion
from ase_lode.features.expansions import expansions
from ase_lode.features.full import Projection
from ase_lode.field import FullReciprocal
from ase_lode.hypers import DensityConfig
from ase_lode.neighbors import NeighborList
from ase_lode.system import System

#: Rock salt: lattice constant and nearest distance in Å.
LATTICE, NEAREST = 5.6, 2.8
#: A Gaussian basis for comparisons: cutoff and smearing in Å, radial functions, largest l.
CUTOFF, SMEARING, N, L_MAX = 3.5, 0.7, 3, 3
LIMIT = 1e-6


def lattice_sums(subject, structures):
    """Fields 1/r^p of rock salt, p = 1 to 6, are its lattice sums (Madelung's constant for p = 1)."""
    _only_ours(subject)
    atoms = bulk("NaCl", "rocksalt", a=LATTICE)
    for exponent in range(1, 7):
        field = {"exponent": exponent, "max_angular": 0, "sources": "charges", "charges": {"Na": 1.0, "Cl": -1.0},
                 "cutoff": 0.9 * NEAREST}
        model = {"elements": ["Na", "Cl"], "density": {"cutoff": 2.0, "max_radial": 1, "max_angular": 0},
                 "fields": [field]}
        found = expansions(atoms, model)["fields"][0][:, 0, 0, 0] * np.sqrt(4 * pi) * NEAREST**exponent
        expected = alternating_sum(exponent) * np.array([1.0, -1.0])
        yield Finding(f"field 1/r^{exponent}", float(np.abs(found - expected).max()), LIMIT, "(nearest distance 1)")


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


def density_limit(subject, structures):
    """The field with exponent 0, a sum over waves, is the density, a sum over neighbours."""
    _only_ours(subject)
    positions = np.random.default_rng(5).normal(scale=0.6, size=(4, 3))
    system = System(np.array([1, 1, 8, 8]), positions, 14.0 * np.eye(3), np.ones(3, bool))
    species = np.array([0, 0, 1, 1])
    # Compared as definitions: a step at a cutoff that all atoms are within, and the centre itself included.
    density = DensityExpansion(DensityConfig(cutoff=CUTOFF, max_radial=N, max_angular=L_MAX, basis="gto",
                                             smearing=SMEARING, cutoff_width=0.0))
    near = np.zeros((4, (L_MAX + 1) ** 2, 2 * density.lanes))
    density.add(NeighborList(CUTOFF).pairs(system, CUTOFF), species, near, 1)
    near = near.reshape(4, -1, 2, density.lanes)[..., :N]
    near[np.arange(4), 0, species] += density.own
    config = SimpleNamespace(basis="gto", cutoff=CUTOFF, max_radial=N, max_angular=L_MAX, exponent=0, smearing=SMEARING)
    waves = FullReciprocal(0, SMEARING, L_MAX, N, Projection(config).waves)
    yield _share("field 1/r^0", near.transpose(0, 2, 3, 1), waves.compute(system, np.eye(2)[species], 1)[0])


def featomic(subject, structures):
    """Fields 1/r^p of a triclinic crystal, p = 1 to 6, are those of featomic."""
    _only_ours(subject)
    try:
        import featomic as oracle
    except ImportError as error:
        raise NotOffered("featomic is not installed") from error
    elements = ["H", "C", "O"]
    atoms = Atoms("HOCHHCO", cell=[[6.0, 0, 0], [1.3, 5.4, 0], [-0.8, 0.9, 6.3]], pbc=True)
    atoms.set_scaled_positions(np.random.default_rng(3).random((7, 3)))
    radial = {"type": "Gto", "max_radial": N - 1, "radius": CUTOFF}
    basis = {"type": "TensorProduct", "max_angular": L_MAX, "radial": radial, "spline_accuracy": None}
    for exponent in range(1, 7):
        density = {"type": "SmearedPowerLaw", "smearing": SMEARING, "exponent": exponent}
        lode = oracle.LodeSphericalExpansion(density=density, basis=basis, k_cutoff=6.0 / SMEARING)
        model = {"elements": elements, "fields": [{"exponent": exponent, "max_angular": L_MAX, "near_field": "full",
                                                   "sources": "elements"}],
                 "density": {"cutoff": CUTOFF, "max_radial": N, "max_angular": L_MAX, "basis": "gto",
                             "smearing": SMEARING}}
        expected = _dense(lode.compute(atoms), len(atoms), [1, 6, 8])
        yield _share(f"field 1/r^{exponent}", expected, expansions(atoms, model)["fields"][0])


def _dense(tensor, n_atoms, numbers):
    """featomic's blocks as (atoms, elements, radial, lm)."""
    out = np.zeros((n_atoms, len(numbers), N, (L_MAX + 1) ** 2))
    for key, block in tensor.items():
        l, a = key["o3_lambda"], numbers.index(key["neighbor_type"])
        out[block.samples.column("atom"), a, :, l * l : (l + 1) ** 2] = block.values.transpose(0, 2, 1)
    return out


def _share(what, expected, found):
    return Finding(what, float(np.abs(found - expected).max() / np.abs(expected).max()), LIMIT, "relative")


def _only_ours(subject):
    if not subject.own:
        raise NotOffered("only for potentials of ase_lode")
