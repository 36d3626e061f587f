"""Direct sums over the pairs of an isolated system: the smooth field, and the field of sources beyond a cutoff."""

from math import factorial, gamma, pi, sqrt

import numpy as np

from ase_lode import parallel
from ase_lode._loops import direct as loops
from ase_lode.errors import StructureError
from ase_lode.field import harmonics


class _PairSum:
    """What the two pair sums share; a subclass says which radial function stands in front of Y_lm."""

    def __init__(self, exponent, max_angular, length, switch, exterior):
        self.exponent, self.max_angular = exponent, max_angular
        constants = np.array([1 / gamma(exponent / 2 + degree + 1) for degree in range(max_angular + 3)])
        self._radial = (exponent, float(length), float(switch), constants, exterior, _norms(max_angular))
        self._terms = harmonics.derivative_terms(max_angular)

    def compute(self, system, strengths, n_threads):
        """Field at every atom.

        Parameters
        ----------
        system : System
            An isolated structure.
        strengths : array, shape (atoms, channels)
        n_threads : int

        Returns
        -------
        phi : array, shape (atoms, channels, (max_angular+1)²)
            In Å^-(p+l) per unit of strength.
        state
            What `pull_back` needs.

        Raises
        ------
        StructureError
            The structure is periodic.
        """
        if system.pbc.any():
            raise StructureError("A direct sum over pairs is for isolated systems; set atoms.pbc = False or use the "
                                 "particle mesh.")
        positions = np.ascontiguousarray(system.positions.T)
        strengths = np.ascontiguousarray(strengths.T)
        phi = np.empty((len(system), len(strengths), (self.max_angular + 1) ** 2))
        parallel.run(loops.fields, len(system), n_threads, positions, strengths, *self._radial, phi)
        return phi, (positions, strengths)

    def pull_back(self, state, d_phi, n_threads, need_virial=True):
        """Pull dE/dΦ back to positions, strain and strengths.

        Parameters
        ----------
        state
            Second result of `compute`.
        d_phi : array, shape (atoms, channels, (max_angular+1)²)
        n_threads : int
        need_virial : bool

        Returns
        -------
        gradient : array, shape (atoms, 3)
        virial : array, shape (3, 3), or None
            Σ r ⊗ dE/dr, element [a, b] the derivative for r_b → r_b + ε r_a.
        d_strengths : array, shape (atoms, channels)
        """
        positions, strengths = state
        weights = np.ascontiguousarray(np.moveaxis(d_phi, 0, 2))
        gradient = np.empty((positions.shape[1], 3))
        d_strengths = np.empty((positions.shape[1], len(strengths)))
        parallel.run(loops.adjoint, len(gradient), n_threads, positions, strengths, weights, *self._radial,
                     *self._terms, gradient, d_strengths)
        # The gradients add up to zero; the first atom as origin keeps far-away coordinates from costing digits.
        virial = (positions - positions[:, :1]) @ gradient if need_virial else None
        return gradient, virial, d_strengths


class DirectIsolated(_PairSum):
    """Smooth field of an isolated system, the atom itself included.

    Φ_i,alm = Σ_j q_ja P(p/2 + l, r²/2s²) Y_lm(r̂_ij)/r_ij^(p+l).

    Parameters
    ----------
    exponent : int
        p in 1/r^p, from 1.
    max_angular : int
        Largest l.
    width : float
        Width s of the smearing in Å.
    """

    def __init__(self, exponent, max_angular, width):
        super().__init__(exponent, max_angular, width, 0.0, False)
        self.width = width


class DirectExterior(_PairSum):
    """Field of the sources outside a cutoff in an isolated system, without any smearing.

    V_i,alm = Σ_{j≠i} q_ja (1 - f_c(r_ij)) Y_lm(r̂_ij)/r_ij^(p+l), where f_c is 1 up to cutoff - cutoff_width, falls as
    (1 + cos π(r - cutoff + cutoff_width)/cutoff_width)/2 and is 0 beyond the cutoff.

    Parameters
    ----------
    exponent : int
        p in 1/r^p, from 1.
    max_angular : int
        Largest l.
    cutoff : float
        Radius in Å beyond which sources count fully.
    cutoff_width : float
        Width of the switching shell in Å; 0 for a step.
    """

    def __init__(self, exponent, max_angular, cutoff, cutoff_width):
        super().__init__(exponent, max_angular, cutoff, cutoff_width, True)
        self.cutoff, self.cutoff_width = cutoff, cutoff_width


def _norms(max_angular):
    """Factors of the recursion in the loops: √((2l+1)/4π (2 - δ_m0) (l-m)!/(l+m)!) (2m-1)!!."""
    result = np.zeros((max_angular + 1, max_angular + 1))
    for degree in range(max_angular + 1):
        for order in range(degree + 1):
            double = factorial(2 * order) / (2**order * factorial(order))
            result[degree, order] = double * sqrt((2 * degree + 1) / (4 * pi) * (2 if order else 1)
                                                  * factorial(degree - order) / factorial(degree + order))
    return result
