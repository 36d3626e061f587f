"""What is in a file of structures, and what would spoil a fit to it."""

import hashlib
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ase_lode.models.baseline import compositions
from ase_lode.system import CHEMICAL_SYMBOLS, System, standard_cell
from ase_lode.training.dataset import labels_of, per_atom_keys, read_atoms
from ase_lode.training.metrics import voigt

#: Residuals this many median absolute deviations from the median are outliers, if also larger than the floor (eV/atom).
OUTLIER, OUTLIER_FLOOR = 12.0, 0.05
#: Forces above this many eV/Å are suspicious whatever the rest is.
LARGE_FORCE = 50.0
#: Energies per atom of one composition with an empty gap wider than this (eV) come from different levels of theory.
THEORY_GAP = 1.0
#: Frames closer than this (Å) to the previous one show whether energies and forces belong together.
SMALL_STEP = 0.3
#: A periodic cell this many times longer than the atoms' extent in every direction looks like a box for a molecule.
BOX = 2.0
#: Net force per atom (eV/Å) above which forces do not come from one energy.
NET_FORCE = 0.01
#: Responses of whole structures: how many numbers, and how the names of their keys begin.
RESPONSES = {"dipole": (3, ("dipole", "mu")), "polarizability": (9, ("polar", "alpha")),
             "dielectric_tensor": (9, ("diel", "epsilon"))}
#: Share of the largest element of a tensor by which it may be asymmetric.
ASYMMETRY = 0.01
#: Mean of a tensor's diagonal per atom, as a share of its median, within which no structure is an outlier.
RESPONSE_FLOOR = 0.3


@dataclass
class Findings:
    """Facts about a set of structures, and warnings.

    Attributes
    ----------
    facts : dict
        Plain numbers and texts.
    warnings : list of str
        Each says what was found and what to do.
    """

    facts: dict = field(default_factory=dict)
    warnings: list = field(default_factory=list)

    @property
    def text(self):
        """Facts and warnings for a person."""
        lines = []
        for name, value in self.facts.items():
            if isinstance(value, dict):
                lines.append(f"{name}:")
                lines += [f"  {key}: {item}" for key, item in value.items()]
            else:
                lines.append(f"{name}: {value}")
        lines += ["", *(f"WARNING: {warning}" for warning in self.warnings)] if self.warnings else ["", "no warnings"]
        return "\n".join(lines)


@dataclass(frozen=True)
class Frame:
    """One structure as found, with everything its file says about it."""

    system: System
    labels: dict
    per_atom: frozenset
    zero_cell: bool
    constrained: bool

    def number(self, key, size):
        """The label as a float array of this size, or None."""
        try:
            value = np.asarray(self.labels.get(key, []), dtype=float).ravel()
        except (TypeError, ValueError):
            return None
        return value if value.size == size and np.isfinite(value).all() else None


def lint(path, energy_key=None, forces_key=None):
    """Inspect a file, or several that are meant to be joined.

    Parameters
    ----------
    path : path or list of path
        Files of structures.
    energy_key, forces_key : str, optional
        Keys to judge; by default the first that look like it.

    Returns
    -------
    Findings

    Raises
    ------
    DataError
        A file is missing, empty or cannot be read.
    """
    paths = [path] if isinstance(path, (str, bytes)) or hasattr(path, "__fspath__") else list(path)
    frames = [_frame(atoms) for name in paths for atoms in read_atoms(name)]
    found = Findings()
    _describe(frames, found)
    keys = found.facts["keys"]
    energy_key = energy_key or _likely(keys, "energy", "number")
    forces_key = forces_key or _likely(keys, "force", "3 per atom")
    found.facts["judged"] = {"energy": energy_key, "forces": forces_key}
    _duplicates(frames, found)
    _periodicity(frames, found)
    _responses(frames, found)
    if "responses" in found.facts and energy_key is None and forces_key is None:
        found.facts["energies"] = "none; a potential of responses alone takes energy: null and forces: null"
        return found
    _rank(frames, found)
    _energies(frames, energy_key, found)
    _forces(frames, forces_key, found)
    _units(frames, energy_key, forces_key, found)
    _stresses(frames, found)
    return found


def _frame(atoms):
    zero_cell = bool(atoms.pbc.any()) and not atoms.cell.array.any()
    pbc = np.array(atoms.pbc) & (not zero_cell)
    cell = standard_cell(np.array(atoms.cell.array), pbc)
    system = System(atoms.numbers.astype(int), atoms.positions.copy(), cell, pbc)
    return Frame(system, labels_of(atoms), per_atom_keys(atoms), zero_cell, bool(atoms.constraints))


def _describe(frames, found):
    sizes = [len(f.system) for f in frames]
    elements, shares = _shares(frames)
    kinds = {}
    for frame in frames:
        for key, value in frame.labels.items():
            kinds.setdefault(str(key), []).append(_kind(value, len(frame.system), key in frame.per_atom))
    found.facts |= {
        "structures": len(frames), "atoms": f"{min(sizes)} to {max(sizes)}, {sum(sizes)} in all",
        "elements": ", ".join(elements), "composition rank": f"{np.linalg.matrix_rank(shares)} of {len(elements)}",
        "keys": {key: f"{len(v)}/{len(frames)}, {v[0] if len(set(v)) == 1 else 'mixed shapes'}"
                 for key, v in sorted(kinds.items())}}


def _shares(frames):
    """Symbols of the elements, and their shares of the atoms of each structure, (structures, elements)."""
    elements = [CHEMICAL_SYMBOLS[z] for z in sorted({int(z) for f in frames for z in f.system.numbers})]
    counts = compositions([f.system for f in frames], elements)
    return elements, counts / counts.sum(axis=1)[:, None]


def _rank(frames, found):
    elements, shares = _shares(frames)
    rank = np.linalg.matrix_rank(shares)
    if rank < len(elements):
        found.warnings.append(f"compositions determine only {rank} of {len(elements)} reference energies; give "
                              "model.baseline.reference_energies, or set model.baseline.allow_rank_deficient: true")


def _kind(value, n, per_atom):
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return "text"
    if per_atom or array.shape in ((n, 3), (n, 9)):
        return f"{array.size // n} per atom"
    return {1: "number", 3: "vector"}.get(array.size, f"{array.size} numbers")


def _likely(keys, word, kind):
    able = [key for key, shape in keys.items() if word in key.lower() and shape.endswith(kind)]
    return min(able, key=lambda key: (not key.lower().startswith(word), len(key)), default=None)


def _duplicates(frames, found):
    seen = {}
    for index, frame in enumerate(frames):
        system = frame.system
        geometry = np.round(np.vstack([system.positions - system.positions[0], system.cell]), 4) + 0.0
        digest = hashlib.sha256(geometry.tobytes() + system.numbers.tobytes()).digest()
        seen.setdefault(digest, []).append(index)
    copies = [group for group in seen.values() if len(group) > 1]
    found.facts["duplicates"] = sum(len(group) - 1 for group in copies)
    if copies:
        found.warnings.append(f"{found.facts['duplicates']} structures repeat others (first: {copies[0][:3]}); remove "
                              "them, or a random split validates on training data")


def _periodicity(frames, found):
    patterns = {}
    for frame in frames:
        name = "".join("FT"[int(p)] for p in frame.system.pbc)
        patterns[name] = patterns.get(name, 0) + 1
    found.facts["periodicity"] = patterns
    if len(patterns) > 1:
        found.warnings.append("periodicities are mixed; fields treat each structure as its pbc say, so check them")
    zero = sum(frame.zero_cell for frame in frames)
    if zero:
        found.warnings.append(f"{zero} structures are periodic with a zero cell; they are taken as isolated molecules")
    boxed = sum(bool(f.system.pbc.all()) and _in_a_box(f.system) for f in frames)
    if boxed:
        found.warnings.append(f"{boxed} periodic structures fill less than half of their cell in every direction; if "
                              "they are isolated molecules, store them with pbc F F F")


def _in_a_box(system):
    fractional = np.sort((system.positions @ np.linalg.inv(system.cell)) % 1.0, axis=0)
    gaps = np.vstack([np.diff(fractional, axis=0), fractional[:1] + 1 - fractional[-1:]])
    return bool(((1 - gaps.max(axis=0)) * BOX < 1).all())


def _responses(frames, found):
    for target, (size, words) in RESPONSES.items():
        key = next((key for key in found.facts["keys"] if key.lower().startswith(words)), None)
        values = [(f, f.number(key, size)) for f in frames]
        values = [(f, value) for f, value in values if value is not None]
        if not values:
            continue
        having = [frame for frame, _ in values]
        found.facts.setdefault("responses", {})[target] = f"{key}, of {len(values)} structures"
        if size == 9:
            _tensors(key, having, np.array([value.reshape(3, 3) for _, value in values]), found)
        elif periodic := sum(bool(frame.system.pbc.any()) for frame in having):
            found.warnings.append(f"{key} of {periodic} periodic structures: dipoles of a cell are multivalued and "
                                  "cannot be fitted; use Born charges, polarizabilities or dielectric tensors")


def _tensors(key, frames, tensors, found):
    askew = abs(tensors - tensors.swapaxes(1, 2)).max(axis=(1, 2)) > ASYMMETRY * abs(tensors).max(axis=(1, 2))
    negative = np.linalg.eigvalsh((tensors + tensors.swapaxes(1, 2)) / 2)[:, 0] <= 0
    for wrong, what in ((askew, "not symmetric; check the order of their numbers"),
                        (negative, "not positive, as of a ground state; check signs and units")):
        if wrong.any():
            found.warnings.append(f"{key}: {wrong.sum()} tensors are {what} (first: structure {wrong.argmax()})")
    per_atom = np.trace(tensors, axis1=1, axis2=2) / 3 / [len(frame.system) for frame in frames]
    _outliers(key, _unexplained(frames, per_atom), RESPONSE_FLOOR * abs(np.median(per_atom)), found)


def _energies(frames, key, found):
    values = [(f, f.number(key, 1)) for f in frames] if key else []
    values = [(f, value[0]) for f, value in values if value is not None]
    if not values:
        found.warnings.append("no energies found; name their key")
        return
    per_atom = np.array([energy / len(frame.system) for frame, energy in values])
    found.facts["energy per atom"] = f"{per_atom.min():.5g} to {per_atom.max():.5g} eV, if in eV"
    groups = {}
    for (frame, _), value in zip(values, per_atom):
        numbers, counts = np.unique(frame.system.numbers, return_counts=True)
        groups.setdefault((tuple(numbers), tuple(counts // np.gcd.reduce(counts))), []).append(value)
    for group in groups.values():
        gaps = np.diff(np.sort(group))
        if len(gaps) and gaps.max() > THEORY_GAP:
            low, high = np.sort(group)[gaps.argmax():gaps.argmax() + 2]
            found.warnings.append(f"energies of one composition jump from {low:.3f} to {high:.3f} eV/atom: these are "
                                  "different levels of theory or units; never fit them together")
            return
    _outliers("energies", _unexplained([f for f, _ in values], per_atom), OUTLIER_FLOOR, found)


def _unexplained(frames, per_atom):
    """What the composition leaves of a quantity per atom."""
    _, shares = _shares(frames)
    return per_atom - shares @ np.linalg.lstsq(shares, per_atom, rcond=None)[0]


def _outliers(name, residual, floor, found):
    centre = np.median(residual)
    limit = max(OUTLIER * np.median(abs(residual - centre)), floor)
    far = np.flatnonzero(abs(residual - centre) > limit)
    found.facts[f"outlying {name}"] = len(far)
    if len(far):
        found.warnings.append(f"{len(far)} {name} lie far from the rest (first: structures {far[:5].tolist()}); look "
                              "at them before fitting")


def _forces(frames, key, found):
    values = [(f, f.number(key, 3 * len(f.system))) for f in frames] if key else []
    values = [(f, value.reshape(-1, 3)) for f, value in values if value is not None]
    if not values:
        found.warnings.append("no forces found; name their key")
        return
    forces = np.concatenate([value for _, value in values])
    largest = np.array([abs(value).max() for _, value in values])
    zeroed = [int((value == 0).all(axis=1).sum()) for _, value in values]
    some = sum(0 < zero < len(value) for zero, (_, value) in zip(zeroed, values))
    net = np.array([np.linalg.norm(value.sum(axis=0)) / len(value) for _, value in values])
    found.facts["forces"] = f"RMS {np.sqrt(np.mean(forces**2)):.4g}, largest {largest.max():.4g} eV/Å, if in eV/Å"
    found.facts["zero forces"] = f"{sum(zeroed)} atoms in {sum(zero > 0 for zero in zeroed)} structures"
    found.facts["net force per atom"] = f"largest {net.max():.2g} eV/Å"
    if some or any(f.constrained for f in frames):
        found.warnings.append(f"forces of some atoms are exactly zero in {some} structures, or constraints are stored: "
                              "forces zeroed by constraints are no labels; write them without applying constraints")
    if (largest > LARGE_FORCE).any():
        found.warnings.append(f"{int((largest > LARGE_FORCE).sum())} structures have forces above {LARGE_FORCE} eV/Å "
                              f"(first: {int(np.argmax(largest > LARGE_FORCE))}); they will dominate the fit")
    if (net > NET_FORCE).any():
        found.warnings.append(f"{int((net > NET_FORCE).sum())} structures have a net force above {NET_FORCE} eV/Å per "
                              "atom, which no potential without external field can give")


def _units(frames, energy_key, forces_key, found):
    """Compare energy differences of consecutive frames with the work of the forces: their ratio tells the units."""
    ratios = []
    for old, new in pairwise(frames):
        n = len(new.system)
        if len(old.system) != n or (old.system.numbers != new.system.numbers).any():
            continue
        energies = [f.number(energy_key, 1) for f in (old, new)]
        forces = [f.number(forces_key, 3 * n) for f in (old, new)]
        step = (new.system.positions - old.system.positions).ravel()
        small = 0 < abs(step).max() < SMALL_STEP and np.allclose(old.system.cell, new.system.cell)
        if small and all(value is not None for value in energies + forces):
            ratios.append(((energies[1] - energies[0])[0], -(forces[0] + forces[1]) @ step / 2))
    if len(ratios) < 5:
        return
    change, work = np.array(ratios).T
    spread = np.cov(change, work)
    if spread[0, 1] <= 0.9 * np.sqrt(spread[0, 0] * spread[1, 1]):
        found.facts["energy change / work of forces"] = "uncorrelated in consecutive frames"
        return
    ratio = float(np.median(change[work != 0] / work[work != 0]))
    found.facts["energy change / work of forces"] = f"{ratio:.3f} over {len(ratios)} consecutive frames"
    if not 0.8 < ratio < 1.25:
        found.warnings.append(f"energies change {ratio:.3f} times as much as forces times displacements in Å say; "
                              "0.53 means forces per bohr, 27.2 or 0.037 a mixture of hartree and eV, -1 a gradient")


def _stresses(frames, found):
    for frame in frames:
        stress, virial = frame.number("stress", 6), frame.number("virial", 9)
        stress = stress if stress is not None else frame.number("stress", 9)
        if stress is None or virial is None or not frame.system.pbc.all():
            continue
        stress = stress if stress.size == 6 else voigt(stress.reshape(3, 3))
        virial = voigt(virial.reshape(3, 3))
        if not virial.any():
            continue
        # Of all components, since a trace may vanish.
        ratio = frame.system.measure * (stress @ virial) / (virial @ virial)
        found.facts["stress x volume / virial"] = f"{ratio:.4f} (-1 expected)"
        if abs(ratio + 1) > 0.01:
            found.warnings.append("stress and virial disagree: expected stress = -virial/volume, tension positive")
        return
