"""The ASE calculator: Atoms in, results out; the one place of signs, Voigt orders and warnings."""

import warnings
from functools import partial
from numbers import Real

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from ase_lode.cluster import spread
from ase_lode.errors import ConfigError, StructureError
from ase_lode.features.representation import TOLERANCE
from ase_lode.models.library import load_potential
from ase_lode.models.potential import Evaluator
from ase_lode.neighbors import NeighborList
from ase_lode.parallel import available_threads
from ase_lode.system import System

#: Excess over the training range, in units of that range, from which a structure counts as extrapolation.
EXTRAPOLATION = 0.5
#: Atoms closer than this in Å are called coincident.
COINCIDENT = 0.1
#: Excess of a pinned mesh's spacing over the right one from which forces may miss the tolerance: its error grows with
#: the tenth power or so, and the choice of a mesh leaves a factor of two.
COARSE = 0.1
#: Structures that travel to a worker together in `predict`.
BATCH = 16
#: What a potential with energies gives, and what one with a response model may give.
ENERGIES = ("energy", "free_energy", "energies", "forces", "stress")
RESPONSES = ("dipole", "dielectric_tensor", "born_effective_charges")
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


#: What to say of properties that a structure does not define.
UNDEFINED = {
    "stress": "Stress needs a periodic structure with a volume; set its cell and pbc.",
    "dielectric_tensor": "A dielectric tensor needs a structure that is periodic in all directions; ask for the "
                         "polarizability instead.",
    "dipole": "The dipole of a periodic structure is defined if it is neutral and the potential's charges are fixed "
              "(targets.dipole.order: [1]); for an isolated molecule in a dummy cell set atoms.pbc = False.",
    "born_effective_charges": "Born charges of a periodic structure need a potential trained on them, or on dipoles "
                              "with targets.dipole.order: [1]; for an isolated molecule in a dummy cell set "
                              "atoms.pbc = False."}

#: What to say of responses that cannot be.
UNPHYSICAL = ("The polarizability is not positive, or the dielectric tensor below 1, as of no ground state; the "
              "potential does not know such structures.")


class ExtrapolationWarning(UserWarning):
    """A structure lies outside what the potential was trained on."""


class LODECalculator(Calculator):
    """A multi-scale potential as an ASE calculator.

    One evaluation serves energy, forces and stress. The results are a pure function of the structure: the same input
    gives the same bits whatever was computed before and on however many threads, unless `pin_mesh` holds the mesh.
    Another process gives them too where its libraries choose the same kernels of linear algebra: on processors of one
    kind, with one OPENBLAS_CORETYPE; elsewhere forces differ by about 1e-12 of the largest.

    A potential with a response model also gives, when asked for one of them, `dipole` (e·Å, about the origin of
    coordinates), `born_effective_charges` (e, Z[i, a, b] = ∂μ_a/∂r_ib) and `dielectric_tensor`, and with any of these
    `extras["polarizability"]` (Å³, shape (3, 3)); see also `respond`. A potential without energies gives its response
    in every evaluation, Born charges when asked.

    Parameters
    ----------
    potential : str, path-like or Potential
        A shipped name (see `list_potentials`), the path of a file, or a loaded potential.
    skin : float
        Distance in Å by which the neighbour list reaches further, so that it survives small moves.
    n_threads : int, optional
        Threads to use; all cores by default.
    charge : float, optional
        Total charge in e; by default `atoms.info["charge"]`, or 0.
    uncertainty : bool
        Whether every evaluation also gives `extras["energy_uncertainty"]` (eV) and `extras["forces_uncertainty"]`
        (eV/Å, shape (atoms, 3)).
    on_extrapolation : {"warn", "stop", "ignore"}
        What to do with structures outside the training range, with coincident atoms and with responses that cannot be.
    tolerance : float
        Relative error of the long-range fields and their first derivatives.

    Raises
    ------
    PotentialFileError
        The potential cannot be found or is damaged.
    ConfigError
        A keyword is out of range.
    """

    name = "ase_lode"
    implemented_properties = list(ENERGIES)
    ignored_changes = {"initial_charges", "initial_magmoms"}

    def __init__(self, potential, *, skin=1.0, n_threads=None, charge=None, uncertainty=False,
                 on_extrapolation="warn", tolerance=TOLERANCE):
        super().__init__()
        _check_keywords(skin, n_threads, charge, on_extrapolation, tolerance)
        self.potential = load_potential(potential)
        if uncertainty and self.potential.posterior is None:
            raise ConfigError(f"The potential '{self.potential.name}' carries no uncertainty; leave uncertainty out.")
        #: Results that ASE has no name for.
        self.extras = {}
        self._skin = skin
        self._n_threads = n_threads or available_threads()
        self._charge = charge
        self._uncertainty = uncertainty
        self._on_extrapolation = on_extrapolation
        self._tolerance = tolerance
        self._evaluator = Evaluator(self.potential, tolerance)
        self._neighbors = NeighborList(self._evaluator.representation.cutoff, skin)
        response = self._evaluator.response
        given = [name for name in RESPONSES if response is not None and name in response.response.gives]
        self.implemented_properties = [*(ENERGIES if self._evaluator.head is not None else ()), *given]
        if response is not None:
            self._response_neighbors = NeighborList(response.representation.cutoff, skin)
            self._born_trained = "born_effective_charges" in response.response.targets

    def check_state(self, atoms, tol=0.0):
        """What changed since the last evaluation, to the last bit; ASE does not look at the charge in `atoms.info`."""
        if self.atoms is None:
            return list(all_changes)
        arrays = ((atoms.positions, atoms.numbers, atoms.cell.array, atoms.pbc) for atoms in (self.atoms, atoms))
        changes = [name for name, old, new in zip(("positions", "numbers", "cell", "pbc"), *arrays)
                   if old.shape != new.shape or (old != new).any()]
        if self._charge is None and self.atoms.info.get("charge", 0.0) != atoms.info.get("charge", 0.0):
            changes.append("charge")
        return changes

    def get_property(self, name, atoms=None, allow_calculation=True):
        """As of ASE, with a word on what potentials give beyond it, or do not give."""
        if name == "polarizability" and self._evaluator.response is not None:
            raise PropertyNotImplementedError("ASE has no polarizabilities of calculators; take it from "
                                              "calc.respond(atoms)['polarizability'].")
        self._refuse([name])
        return super().get_property(name, atoms, allow_calculation)

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        """Evaluate energy, forces and stress together; the response when asked for, or when there is nothing else."""
        kept = ({}, {}) if system_changes else (self.results, self.extras)
        super().calculate(atoms, properties, system_changes)
        self.results, self.extras = kept
        asked = properties or ()
        self._refuse(asked)
        if self._evaluator.head is not None and "energy" not in self.results:
            results, extras = self._evaluate(self.atoms, self._neighbors)
            self.results, self.extras = {**kept[0], **results}, {**kept[1], **extras}
        if self._evaluator.head is None or set(RESPONSES).intersection(asked):
            results, extras = self._respond(self.atoms, self._response_neighbors, "born_effective_charges" in asked)
            self.results, self.extras = {**self.results, **results}, {**self.extras, **extras}
        for name, advice in UNDEFINED.items():
            if name in asked and name not in self.results:
                raise PropertyNotImplementedError(advice)

    def _refuse(self, properties):
        """Energies and responses that the potential does not give."""
        for name in properties:
            if name in ENERGIES and self._evaluator.head is None:
                raise PropertyNotImplementedError(f"The potential '{self.potential.name}' gives its response alone, no "
                                                  f"{name}; take that from another (in run_md with response=).")
            if name in RESPONSES and name not in self.implemented_properties:
                raise PropertyNotImplementedError(f"The potential '{self.potential.name}' gives no {name}; use one "
                                                  "trained on it.")

    def respond(self, atoms):
        """Dipole and polarizability of a structure, whatever the calculator holds.

        Returns
        -------
        dict
            `dipole` (e·Å, about the origin), `dielectric_tensor`, `polarizability` (Å³; of periodic structures
            (ε - 1) V/4π where none was trained for them) and, of a potential trained on them, `born_effective_charges`,
            as far as the structure defines them.

        Raises
        ------
        ConfigError
            The potential has no response model.
        """
        if self._evaluator.response is None:
            raise ConfigError(f"The potential '{self.potential.name}' gives no dipole or polarizability; use one "
                              "trained with targets.")
        results, extras = self._respond(atoms, self._response_neighbors, self._born_trained)
        return {**results, **extras}

    def predict(self, structures, properties=None, workers=None):
        """Results of many structures.

        Parameters
        ----------
        structures : iterable of ase.Atoms
            Not changed; their own calculators are left alone.
        properties : sequence of str
            From `implemented_properties`, and names of `extras`; by default energy and forces, or, of a potential
            without them, what `respond` gives.
        workers : int or str, optional
            Number of processes to start, or the address of a Dask scheduler; see `ase_lode.cluster.spread`.

        Returns
        -------
        list of dict
            In the order of the input; a stress is left out where it is not defined.

        Raises
        ------
        ConfigError
            A property that this potential does not give, or no list.
        """
        known = [*self.implemented_properties, *(["energy_uncertainty", "forces_uncertainty"] * self._uncertainty),
                 *(["polarizability"] * (self._evaluator.response is not None))]
        if isinstance(structures, Atoms) or isinstance(properties, str):
            raise ConfigError("predict takes several structures, and names of properties; put one in a list.")
        if properties is None:
            properties = ("energy", "forces") if self._evaluator.head is not None else [
                name for name in known if name != "born_effective_charges" or self._born_trained]
        unknown = [name for name in properties if name not in known]
        if unknown:
            raise ConfigError(f"Properties {', '.join(unknown)} are not given by this calculator; choose from "
                              f"{', '.join(known)}.")
        if workers is not None:
            structures = [atoms.copy() for atoms in structures]  # without their calculators
        return list(spread(partial(self._predict, properties), structures, workers, BATCH))

    def _predict(self, properties, atoms, n_threads):
        self._n_threads = n_threads or self._n_threads
        found = {}
        if set(properties).intersection([*ENERGIES, "energy_uncertainty", "forces_uncertainty"]):
            results, extras = self._evaluate(atoms, None)
            found.update(results, **extras)
        if set(properties).intersection([*RESPONSES, "polarizability"]):
            results, extras = self._respond(atoms, None, "born_effective_charges" in properties)
            found.update(results, **extras)
        return {name: value for name, value in found.items() if name in properties}

    def pin_mesh(self, atoms):
        """Keep the particle mesh that fits `atoms` for all later cells: energies stay smooth while a cell changes.

        It stays until `release_mesh` or `set_state`; a warning says when the cell has outgrown it. `run_md` pins it at
        constant pressure, for the run.
        """
        system = System.from_atoms(atoms, self._charge)
        self.release_mesh()
        if system.pbc.any():
            self._set_pins([field.fitting(system) for field in self._on_mesh()])

    def release_mesh(self):
        """Let the particle mesh follow the cell again."""
        self._set_pins([None] * len(self._on_mesh()))

    def get_state(self):
        """What a checkpoint must keep besides the potential: pinned meshes and reaches, None where they are not pinned.
        """
        pins = [field.pin or (None, None) for field in self._on_mesh()]
        return {"mesh": [shape for _, shape in pins], "reach": [step for step, _ in pins]}

    def set_state(self, state):
        """Restore what `get_state` gave; states without `reach` are older than the choice of one."""
        shapes = state["mesh"]
        self._set_pins([shape and (float(step), tuple(int(n) for n in shape))
                        for shape, step in zip(shapes, state.get("reach", [1.0] * len(shapes)), strict=True)])

    def _set_pins(self, pins):
        fields = self._on_mesh()
        if pins != [field.pin for field in fields]:
            for field, pin in zip(fields, pins, strict=True):
                field.pin = pin
            self.reset()

    def _on_mesh(self):
        return [field for field in self._evaluator.representation.fields if field.on_mesh]

    def _evaluate(self, atoms, neighbors):
        system = System.from_atoms(atoms, self._charge)
        evaluation = self._evaluator.evaluate(system, neighbors, self._n_threads, uncertainty=self._uncertainty)
        self._judge(evaluation, system)
        results = {"energy": evaluation.energy, "free_energy": evaluation.energy, "energies": evaluation.energies,
                   "forces": -evaluation.gradient}
        if system.pbc.any() and np.isfinite(atoms.cell.array).all():
            volume = abs(np.linalg.det(atoms.cell.array))
            if volume > 0:
                results["stress"] = np.array([evaluation.virial[a, b] for a, b in VOIGT]) / volume
        extras = {}
        if self._uncertainty:
            extras = {"energy_uncertainty": evaluation.energy_uncertainty,
                      "forces_uncertainty": evaluation.gradient_uncertainty}
        return results, extras

    def _respond(self, atoms, neighbors, born):
        """Response of a structure: results, and the polarizability."""
        system = System.from_atoms(atoms, self._charge)
        values = self._evaluator.response.evaluate(system, neighbors, self._n_threads, born)
        self._judge(values, system, UNPHYSICAL if values.unphysical else None)
        results = {name: getattr(values, name) for name in RESPONSES if name in self.implemented_properties}
        extras = {} if values.polarizability is None else {"polarizability": values.polarizability}
        return {name: value for name, value in results.items() if value is not None}, extras

    def _judge(self, evaluation, system, doubt=None):
        """Warn of structures that the potential cannot know, or refuse them.

        No numbers in what a simulation may meet at every step: Python shows the same warning once.
        """
        messages = self._doubts(system) + [doubt] * (doubt is not None)
        if evaluation.closest < COINCIDENT:
            messages.append(f"Two atoms are only {evaluation.closest:.3g} Å apart; check the structure for coincident "
                            "atoms.")
        elif evaluation.extrapolation > EXTRAPOLATION:
            messages.append(f"The structure lies outside the training data of '{self.potential.name}' by more than "
                            f"{EXTRAPOLATION} times their range; do not trust the result.")
        for message in messages:
            if self._on_extrapolation == "stop":
                raise StructureError(message)
            if self._on_extrapolation == "warn":
                warnings.warn(message, ExtrapolationWarning, stacklevel=4)

    def _doubts(self, system):
        """What the fields say against a structure: sums without a limit, and a mesh that is too coarse."""
        n_periodic, messages = int(system.pbc.sum()), []
        known = {pattern.count("T") for pattern in self.potential.header.get("data", {}).get("periodicities", [])}
        # 1/r^p summed over p or more directions converges for strengths that sum to zero alone.
        divergent = {field.sources for field in self.potential.model.fields if field.exponent <= n_periodic}
        if divergent & {"charges", "learned"} and system.charge != 0:
            messages.append("A charged periodic system has no energy of its own: it depends on the cell, in bulk "
                            "through a neutralising background; compare energies in one cell only.")
        if "elements" in divergent and n_periodic not in known:
            messages.append(f"'{self.potential.name}' was not trained on this periodicity, and it matters: its fields "
                            "of elements do not sum to zero and depend on the cell. Use a potential with charges as "
                            "sources, or the periodicity of the training data.")
        if any(field.pin and field.coarseness(system) > 1 + COARSE for field in self._on_mesh()):
            messages.append("The cell has outgrown the pinned particle mesh and forces may miss the tolerance: pin it "
                            "again with pin_mesh, or start the simulation anew from its last frame.")
        return messages


def _check_keywords(skin, n_threads, charge, on_extrapolation, tolerance):
    for name, value in (("skin", skin), ("n_threads", n_threads), ("charge", charge), ("tolerance", tolerance)):
        if value is not None and not isinstance(value, Real):
            raise ConfigError(f"{name} must be a number, not {value!r}.")
    if skin is None or not (np.isfinite(skin) and skin >= 0):
        raise ConfigError(f"skin must be a distance in Å of at least 0, not {skin}.")
    if n_threads is not None and (n_threads != int(n_threads) or n_threads < 1):
        raise ConfigError(f"n_threads must be a whole number of at least 1, not {n_threads}.")
    if charge is not None and not np.isfinite(charge):
        raise ConfigError(f"charge must be a number in e, not {charge}.")
    if on_extrapolation not in ("warn", "stop", "ignore"):
        raise ConfigError(f"on_extrapolation must be warn, stop or ignore, not {on_extrapolation!r}.")
    if tolerance is None or not 1e-9 <= tolerance <= 1e-2:
        raise ConfigError(f"tolerance must lie between 1e-9 and 1e-2, not {tolerance}.")
