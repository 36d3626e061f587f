"""The loops say the same as plain Python, and read nothing out of range."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic import bulk, energy_and_forces, molecule, potential, slab

from ase_lode import LODECalculator

LOOPS = Path(__file__).parent.parent / "ase_lode" / "_loops"
SCRIPT = """
import sys
import test_compiled
test_compiled.np.save(sys.argv[1], test_compiled.results())
"""


def results():
    """Energies and forces of small structures of each periodicity, one after the other."""
    values = []
    for fields in ("charges", "two"):
        calc = LODECalculator(potential(fields), n_threads=1, tolerance=1e-3, on_extrapolation="ignore")
        for atoms in (molecule(4), bulk()[:3], slab()[:3]):
            energy, forces = energy_and_forces(atoms, calc)
            values += [energy, *forces.ravel()]
    return np.array(values)


@pytest.mark.parametrize("switch", ["NUMBA_DISABLE_JIT", pytest.param("NUMBA_BOUNDSCHECK", marks=pytest.mark.slow)])
def test_another_compiler_says_the_same(tmp_path, switch):
    here = Path(__file__).parent
    environment = {**os.environ, switch: "1", "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
                   "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path / "found.npy"], env=environment, timeout=600,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found, expected = np.load(tmp_path / "found.npy"), results()
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()


AT_ONCE = """
import sys
import numpy as np
from ase_lode._loops.pairs import add_pair_gradient, count_pairs
print(flush=True)
sys.stdin.readline()
counts, virial, vectors, zeros = np.zeros(1, np.int64), np.zeros((3, 3)), np.eye(3), np.zeros(3, np.int64)
count_pairs(0, 1, np.array([0, 1]), zeros, zeros[None], vectors, vectors, 2.0, counts)
add_pair_gradient(0, 3, zeros, zeros, vectors, vectors, np.zeros((1, 3)), virial)
print(counts[0], virial.sum())
"""


@pytest.mark.slow
def test_processes_that_start_at_once_share_an_empty_cache(tmp_path):
    """All compile and write the same files side by side; what they leave serves the next process whole."""

    def start():
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        process = subprocess.Popen([sys.executable, "-c", AT_ONCE], env=environment, text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()  # it has imported everything and waits for the others
        return process

    def finish(processes):
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=300) for process in processes]
        assert [process.returncode for process in processes] == [0] * len(processes), outputs
        return {printed for printed, _ in outputs}

    together = finish([start() for _ in range(3)])
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.nb*")}
    assert files and together == {"1 3.0\n"}
    assert finish([start()]) == together
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.nb*")} == files


@pytest.mark.parametrize("path", sorted(LOOPS.glob("*.py")), ids=lambda path: path.name)
def test_what_loops_call_is_inlined(path):
    """Otherwise the process that compiles has other last bits than the ones that find the code in the cache."""
    functions = {node.name: node for node in ast.parse(path.read_text(encoding="utf-8")).body
                 if isinstance(node, ast.FunctionDef)}
    decorators = {name: {ast.unparse(entry) for entry in node.decorator_list} for name, node in functions.items()}
    loops = [node for name, node in functions.items() if decorators[name] & {"loop", "inlined"}]
    called = {call.func.id for node in loops for call in ast.walk(node)
              if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}
    assert all(decorators[name] == {"inlined"} for name in called & set(functions))
