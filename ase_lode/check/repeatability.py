"""Same input, same output: again, after other input, on threads and in other processes."""

import contextlib
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from ase_lode.check.child import PATIENCE, Refusal, outcomes
from ase_lode.check.results import Finding, NotOffered

SAME = 1e-12
#: Atoms from which our own loops use threads for certain.
THREADED = 128


def repeatability(subject, atoms):
    """The same input gives the same results again, after other structures and from another instance."""
    for finding in _again(subject, atoms):
        yield Finding(finding.what, finding.value, SAME, "relative")


def history(subject, atoms):
    """Whatever was computed before, results are the same bit for bit."""
    yield from _again(subject, atoms)


def threads_of_the_calculator(subject, structures):
    """One thread and two give the same results."""
    atoms = structures[0]
    if subject.own and atoms.pbc.any():
        while len(atoms) < THREADED:
            atoms = atoms.repeat([1 + direction for direction in atoms.pbc])
    found = []
    for count in (1, 2):
        calc = subject.make()
        if subject.own:
            calc._n_threads = count
        with threadpool_limits(limits=count):
            found.append(subject.results(atoms, calc))
    yield _deviation("two threads", *found, SAME)


def python_threads(subject, structures):
    """Four Python threads, each with an instance of its own, give the results of one."""
    moved = [atoms.copy() for atoms in structures]
    for atoms in moved:
        atoms.rattle(0.05, seed=6)
    topics = [*structures, *moved]
    expected = [subject.results(atoms, subject.make()) for atoms in topics]

    def work(first):
        calc = subject.make()
        order = np.roll(np.arange(len(topics)), first)  # no two threads at the same structure at the same time
        return [(index, subject.results(topics[index], calc)) for index in order]

    with ThreadPoolExecutor(4) as pool:
        for answers in pool.map(work, range(4)):
            for index, found in answers:
                yield _deviation("four Python threads", expected[index], found, SAME)


def fork(subject, structures):
    """A forked process goes on with the calculator it inherits."""
    if "fork" not in multiprocessing.get_all_start_methods():
        raise NotOffered("this system does not fork")
    atoms = structures[0]
    expected = subject.results(atoms)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_in_fork, args=(subject, atoms, sender))
    process.start()
    sender.close()
    try:
        found = receiver.recv() if receiver.poll(PATIENCE) else f"no answer within {PATIENCE:g} s"
    except EOFError:
        process.join()
        found = f"the process ended with status {process.exitcode}"
    finally:
        process.kill()
        process.join()
    yield _judged("a fork", expected, found)


def spawn(subject, structures):
    """A new process that gets the calculator by pickle gives the same results."""
    atoms = structures[0]
    try:
        [found] = outcomes(subject.make, [atoms])
    except NotOffered as reason:
        found = str(reason)
    if isinstance(found, tuple):
        found = found[0] / len(atoms), found[1]
    yield _judged("sending the calculator to a new process", _plain(subject, atoms), found)


def _plain(subject, atoms):
    """Results with the energy that users see, which the other process gives."""
    atoms = atoms.copy()
    atoms.calc = subject.calc
    return atoms.get_potential_energy() / len(atoms), subject.forces(atoms)


def _in_fork(subject, atoms, sender):
    try:
        _reset(subject.calc)
        sender.send(subject.results(atoms))
    except Exception as error:  # noqa: BLE001  the parent wants to see every error
        sender.send(Refusal.of(error))


def _again(subject, atoms):
    """Deviations of later evaluations from the first of a fresh instance."""
    first = subject.results(atoms, subject.make())
    yield _deviation("use before", first, subject.results(atoms))
    _reset(subject.calc)
    yield _deviation("the same again", first, subject.results(atoms))
    near, far = atoms.copy(), atoms[:-1]
    near.rattle(0.1, seed=3)
    far.rattle(0.3, seed=4)
    for what, other in (("atoms a little moved", near), ("one atom less", far)):
        with contextlib.suppress(Exception):
            subject.results(other)
        yield _deviation(what, first, subject.results(atoms))


def _reset(calc):
    if hasattr(calc, "reset"):
        calc.reset()


def _judged(what, expected, found):
    """A finding on what came back from another process."""
    if isinstance(found, tuple):
        return _deviation(what, expected, found, SAME)
    return Finding(f"results after {what}: {found};", np.inf, SAME, "relative")


def _deviation(what, expected, found, limit=0.0):
    """Largest deviation of energy and forces, each in units of itself from 1 on."""
    deviation = max(float(np.abs(np.subtract(a, b)).max()) / max(1.0, float(np.abs(a).max()))
                    for a, b in zip(expected, found))
    return Finding(f"results after {what}", deviation, limit, "relative")
