"""A fitted potential: architecture, weights, baseline and card, and its energies, gradients and uncertainties."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ase_lode.errors import PotentialFileError
from ase_lode.features.representation import TOLERANCE
from ase_lode.hypers import ModelConfig, read_config
from ase_lode.models import file
from ase_lode.models.baseline import Baseline
from ase_lode.models.network_head import NetworkHead
from ase_lode.models.response import ResponseEvaluator, read_response
from ase_lode.models.ridge import RidgeHead
from ase_lode.neighbors import NeighborList


@dataclass
class Evaluation:
    """What a potential says of one structure, in eV and Å.

    Attributes
    ----------
    energy : float
    energies : array, shape (atoms,)
    gradient : array, shape (atoms, 3), or None
        dE/dr, the negative of the forces.
    virial : array, shape (3, 3), or None
        dE/dε, symmetric.
    energy_uncertainty : float or None
        One standard deviation of the energy.
    gradient_uncertainty : array, shape (atoms, 3), or None
    extrapolation : float
        How far the environments leave the range of the training data, in units of that range; 0 inside.
    closest : float
        Smallest distance of two atoms within the cutoff, infinite without neighbours.
    """

    energy: float
    energies: np.ndarray
    gradient: np.ndarray | None
    virial: np.ndarray | None
    energy_uncertainty: float | None
    gradient_uncertainty: np.ndarray | None
    extrapolation: float
    closest: float


class Potential:
    """A fitted model: weights of its head, baseline and card.

    Parameters
    ----------
    model : ModelConfig
        With all defaults resolved, elements listed and charges known.
    weights : array or None
        In eV: of shape (elements, features) for a ridge head, all parameters in one row for a network. None: the
        potential gives no energies, its response alone.
    baseline : Baseline
    header : dict
        The card: name, level_of_theory, source, licence, errors, ...
    posterior : array, shape (samples, ...), optional
        Weights drawn from the posterior, for uncertainties: all of a ridge head, of a network those that energies are
        linear in.
    ranges : (array, array), each (elements, channels), optional
        Smallest and largest coefficients at l = 0 in the training data.
    sha256 : str, optional
        Checksum of the file it was loaded from.
    response : Response, optional
        Dipole, polarizability, dielectric tensor, Born charges.
    """

    def __init__(self, model, weights, baseline, header, posterior=None, ranges=None, sha256=None, response=None):
        self.model = model
        self.weights = weights
        self.baseline = baseline
        self.header = dict(header)
        self.posterior = posterior
        self.ranges = ranges
        self.sha256 = sha256
        self.response = response
        #: The file it was loaded from, or None.
        self.path = None

    @property
    def name(self):
        return self.header.get("name", "potential")

    @property
    def elements(self):
        return list(self.model.elements)

    @cached_property
    def _evaluator(self):
        return Evaluator(self)

    def evaluate(self, system, n_threads=1, gradient=True, uncertainty=False):
        """Energy and derivatives of one `System`; see `Evaluator.evaluate`."""
        return self._evaluator.evaluate(system, n_threads=n_threads, gradient=gradient, uncertainty=uncertainty)

    def respond(self, system, n_threads=1, born=True):
        """Response of one `System`; see `ResponseEvaluator.evaluate`."""
        return self._evaluator.response.evaluate(system, n_threads=n_threads, born=born)

    def save(self, path):
        """Write the potential file; an existing one is replaced in one step."""
        arrays = {} if self.weights is None else {"weights": self.weights}
        if self.posterior is not None:
            arrays["posterior"] = self.posterior
        if self.ranges is not None:
            arrays["lower"], arrays["upper"] = self.ranges
        header = {**self.header, "model": self.model.model_dump(mode="json"), "baseline": self.baseline.to_dict()}
        if self.response is not None:
            header["response"] = self.response.header()
            arrays.update(self.response.arrays())
        file.write(path, header, arrays)

    @classmethod
    def load(cls, path):
        """Read and check a potential file.

        Raises
        ------
        PotentialFileError
            Missing, damaged, of another version, or inconsistent in itself.
        """
        header, arrays, checksum = file.read(path)
        try:
            model = read_config(ModelConfig, header.pop("model"))
            baseline = Baseline.from_dict(header.pop("baseline"))
            response = read_response(header.pop("response"), arrays) if "response" in header else None
            weights = arrays["weights"] if response is None else arrays.get("weights")
            posterior = arrays.get("posterior")
            ranges = (arrays["lower"], arrays["upper"]) if "lower" in arrays else None
            potential = cls(model, weights, baseline, header, posterior, ranges, checksum, response)
            potential.path = str(Path(path).resolve())
            potential._check_shapes()
            baseline.check(potential.elements)
        except (KeyError, TypeError, ValueError) as error:
            raise PotentialFileError(f"{Path(path)} is inconsistent ({error}); get it again or retrain.") from None
        return potential

    def _check_shapes(self):
        if self.response is not None and list(self.response.model.elements) != self.elements:
            raise ValueError("the response model is of other elements")
        if self.weights is None:
            return
        head = self._evaluator.head
        if self.weights.shape != head.shape:
            raise ValueError(f"weights have the shape {self.weights.shape}, the model needs {head.shape}")
        if self.posterior is not None and (self.posterior.shape[1:] != head.sample_shape or not len(self.posterior)):
            raise ValueError(f"posterior has the shape {self.posterior.shape}, the model needs "
                             f"(samples, *{head.sample_shape})")
        if self.ranges is not None and any(r.shape != head.range_shape for r in self.ranges):
            raise ValueError("ranges do not fit the model")


class Evaluator:
    """A potential ready to run: its head with tables and particle meshes, and its baseline.

    Not shared between threads; each calculator has its own.

    Parameters
    ----------
    potential : Potential
    tolerance : float
        Relative error of the fields and their first derivatives.

    Attributes
    ----------
    head : RidgeHead, NetworkHead or None
        None where the potential gives no energies.
    response : ResponseEvaluator or None
    representation : Representation or Network
        With `cutoff` and `fields`; of the energies where there are any.
    """

    def __init__(self, potential, tolerance=TOLERANCE):
        self.potential = potential
        kinds = {"ridge": RidgeHead, "network": NetworkHead}
        self.head = None if potential.weights is None else kinds[potential.model.head.type](potential, tolerance)
        self.response = None if potential.response is None else ResponseEvaluator(potential.response, tolerance)
        self.representation = (self.head or self.response).representation

    def evaluate(self, system, neighbors=None, n_threads=1, gradient=True, uncertainty=False):
        """Energy and derivatives of one structure.

        Parameters
        ----------
        system : System
        neighbors : NeighborList, optional
            A list to keep between calls.
        n_threads : int
        gradient, uncertainty : bool
            Whether to compute derivatives and standard deviations.

        Returns
        -------
        Evaluation

        Raises
        ------
        StructureError
            Unknown elements, or a periodicity that a field does not support.
        """
        head = self.head
        neighbors = neighbors or NeighborList(self.representation.cutoff)
        state = head.compute(system, neighbors, n_threads, gradient)
        base, base_gradient, base_virial = self.potential.baseline.evaluate(system, state.pairs, n_threads)
        energies, slope, virial = state.energies + base, None, None
        if gradient:
            slope, virial = head.pull_back(state, n_threads)
            slope += base_gradient
            virial = 0.5 * (virial + virial.T) + base_virial
        spread = (None, None)
        if uncertainty and self.potential.posterior is not None:
            spread = self._uncertainty(state, gradient, n_threads)
        distances = state.pairs.distances
        return Evaluation(float(energies.sum()), energies, slope, virial, *spread,
                          self._extrapolation(state),
                          float(distances.min()) if len(distances) else np.inf)

    def _uncertainty(self, state, gradient, n_threads):
        """Standard deviations over the posterior's weights, of the energy and of the gradient.

        The weights are scaled to the errors of forces; the card holds the factor that energies need besides.
        """
        deviations, gradients = self.head.deviations(state, gradient, n_threads)
        factor = self.potential.header.get("uncertainty", {}).get("energy_factor", 1.0)
        energy = factor * float(np.sqrt(np.mean(deviations**2)))
        return energy, None if gradients is None else np.sqrt(np.mean(gradients**2, axis=0))

    def _extrapolation(self, state):
        """Largest excess of a density coefficient at l = 0 over its training range, relative to the widest range."""
        if self.potential.ranges is None:
            return 0.0
        low, high = (bound[state.species][:, self.head.columns] for bound in self.potential.ranges)
        excess = np.maximum(np.maximum(low - state.scalars, state.scalars - high), 0.0).max(axis=1)
        return float((excess / np.maximum((high - low).max(axis=1), 1e-12)).max())
