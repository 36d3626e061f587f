"""Evaluations in a process of their own: a calculator sent by pickle, one that crashes, one that never ends."""

import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

from ase_lode.check.results import NotOffered

#: Seconds after which a calculator counts as stuck; the first call may compile for a minute.
PATIENCE = 300.0
#: The new interpreter finds modules where this one does; unlike multiprocessing it does not run a user's script again.
START = """import sys
sys.path[:] = sys.argv[3:]
from ase_lode.check import child
child.main(*sys.argv[1:3])"""


def outcomes(make, structures):
    """Results of a new calculator in a new interpreter.

    Parameters
    ----------
    make : callable
        Makes the calculator; it goes to the other process by pickle.
    structures : list of ase.Atoms

    Returns
    -------
    list
        Per structure (energy, forces), the error that was raised, or a text that says how the process ended.

    Raises
    ------
    NotOffered
        The calculator cannot be pickled.
    """
    try:
        sent = pickle.dumps(make)
    except Exception as error:
        raise NotOffered(f"the calculator cannot be pickled ({_first_line(error)})") from error
    found = []
    while len(found) < len(structures):
        answers, ending = _run(sent, structures[len(found):])
        found += answers
        if len(found) < len(structures):
            found.append(ending)
    return found


def _run(sent, structures):
    """Answers of one process until it ended, and how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        question, answers = Path(folder, "question"), Path(folder, "answers")
        question.write_bytes(pickle.dumps((sent, structures)))
        answers.touch()
        try:
            done = subprocess.run([sys.executable, "-W", "ignore", "-c", START, question, answers, *sys.path],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            ending = f"the process ended with status {done.returncode} {' '.join(last)}".strip()
        except subprocess.TimeoutExpired:
            ending = f"no answer within {PATIENCE:g} s"
        return list(_load_all(answers)), ending


def _load_all(path):
    with open(path, "rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except (EOFError, pickle.UnpicklingError):  # the process ended in the middle of an answer
                return


def answer(make, atoms):
    """Energy and forces of a new calculator, or what it raised."""
    try:
        atoms.calc = make()
        return float(atoms.get_potential_energy()), atoms.get_forces()
    except Exception as error:  # noqa: BLE001  the other process wants to see every error
        return Refusal.of(error)


class Refusal:
    """An error in words, as some cannot be pickled."""

    def __init__(self, kinds, text):
        self.kinds, self.text = kinds, text

    @classmethod
    def of(cls, error):
        """Names of the error's classes, and its first line."""
        return cls([kind.__name__ for kind in type(error).__mro__], _first_line(error))

    def __str__(self):
        return f"{self.kinds[0]}: {self.text}"


def _first_line(error):
    return (str(error).strip().splitlines() or [""])[0][:200]


def main(question, answers):
    """What the new process runs."""
    sent, structures = pickle.loads(Path(question).read_bytes())
    make = pickle.loads(sent)
    with open(answers, "wb") as file:
        for atoms in structures:
            pickle.dump(answer(make, atoms), file)
            file.flush()
