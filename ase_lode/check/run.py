"""All checks of one calculator: `check`."""

import warnings
from typing import NamedTuple

import numpy as np

from ase_lode.check import cells, continuity, derivatives, fields, inputs, repeatability, symmetries
from ase_lode.check.results import NotOffered, Result, happened
from ase_lode.check.structures import defaults, label, shaken
from ase_lode.check.subject import Subject, load
from ase_lode.training.progress import Progress


class Check(NamedTuple):
    """One check: its number, whether a lapse fails, the function, and whether it takes all structures at once."""

    id: str
    grade: str
    function: object
    together: bool = False

    @property
    def name(self):
        """The function's name in words."""
        return self.function.__name__.replace("_", " ")

    @property
    def meaning(self):
        """The function's sentence."""
        return self.function.__doc__.strip().splitlines()[0]


def evaluation(subject, atoms):
    """Energy and forces exist, have the right shape and are finite."""
    energy, forces = subject.results(atoms)
    yield happened("the energy is not finite", not np.isfinite(energy))
    yield happened(f"forces have the shape {forces.shape}", forces.shape != (len(atoms), 3))
    yield happened("forces are not finite", not np.isfinite(forces).all())


FIRST = Check("R0", "must", evaluation)
CHECKS = [
    Check("R1", "must", derivatives.forces),
    Check("R2", "must", derivatives.stress),
    Check("R3", "must", symmetries.rotation_and_translation),
    Check("R4", "must", symmetries.inversion_and_permutation),
    Check("R5", "must", cells.supercells),
    Check("R6", "must", cells.unit_cells),
    Check("R7", "should", inputs.bad_input, True),
    Check("R8", "should", continuity.no_jumps, True),
    Check("R9", "must", symmetries.net_force_and_torque),
    Check("R10", "must", fields.lattice_sums, True),
    Check("R10", "must", fields.density_limit, True),
    Check("R10", "must", fields.featomic, True),
    Check("R15", "must", repeatability.repeatability),
    Check("R15", "should", repeatability.history),
    Check("R15", "should", repeatability.threads_of_the_calculator, True),
    Check("R15", "should", repeatability.python_threads, True),
    Check("R15", "should", repeatability.fork, True),
    Check("R15", "should", repeatability.spawn, True),
]


def check(calculator, structures=None, quiet=True):
    """How far a calculator can be relied on.

    Parameters
    ----------
    calculator : ASE calculator, callable or str
        An instance, or a class or function that makes one, or what names it on the command line: a potential or
        `module:Calculator`. An instance is copied, never used itself.
    structures : sequence of ase.Atoms, optional
        What to check it on, each shaken by 0.03 Å; by default a small crystal, slab, wire and molecule of elements it
        knows.
    quiet : bool
        No progress on stderr.

    Returns
    -------
    list of Result
        In the order of the checks. A calculator that others can build on has no result with the status "fail".

    Raises
    ------
    ConfigError
        No structures were given and none fit the calculator, or a potential gives its response alone.
    """
    progress = Progress(quiet)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        subject = Subject(load(calculator) if isinstance(calculator, str) else calculator)
        structures = shaken(structures) if structures else defaults(subject)
        results = [judge(FIRST, subject, atoms) for atoms in structures]
        usable = [atoms for atoms, result in zip(structures, results) if result.status == "pass"]
        tasks = [(one, topic) for one in CHECKS if usable for topic in ([usable] if one.together else usable)]
        for one, topic in progress.track(tasks, "checks"):
            results.append(judge(one, subject, topic))
    return results


def judge(one, subject, topic):
    """Run one check and keep its worst finding.

    Parameters
    ----------
    one : Check
    subject : Subject
    topic : ase.Atoms or list of ase.Atoms
        The structure, or all of them.
    """
    about = "all" if one.together else label(topic)
    known = (one.id, one.name, one.meaning, one.grade, about)
    lapse = "fail" if one.grade == "must" else "warning"
    try:
        findings = list(one.function(subject, topic))
    except NotOffered as reason:
        return Result(*known, "not offered", str(reason))
    except Exception as error:  # noqa: BLE001  whatever a foreign calculator raises is its verdict
        text = (str(error).strip().splitlines() or [""])[0]
        return Result(*known, lapse, f"raised {type(error).__name__}: {text}")
    worst = max(findings, key=lambda finding: finding.excess)
    status = "pass" if worst.excess <= 1 else lapse
    if not worst.unit:
        return Result(*known, status, "; ".join(finding.what for finding in findings if finding.excess > 1))
    return Result(*known, status, worst.what, worst.value, worst.limit, worst.unit)
