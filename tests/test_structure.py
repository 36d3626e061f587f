"""The map of the package holds: imports go one way, ASE stays at the doors and numba in the loops."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ase_lode"
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
#: Rooms from the top floor down; a room imports from its own floor or a lower one.
FLOORS = [{"cli", "__main__", "ase_plugin"}, {"training", "dynamics", "check"}, {"calculator"}, {"models"},
          {"features"}, {"field", "radial", "neighbors", "hypers", "memory", "parallel", "cluster"},
          {"system"}, {"errors"}, {"_loops"}]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
#: The rooms that know ASE.
DOORS = {"calculator.py", "system.py", "ase_plugin.py", "cli/__init__.py", "cli/analyze.py", "cli/command.py",
         "training/dataset.py"}


def name(path):
    return path.relative_to(PACKAGE).as_posix()


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Full names of the modules that a file imports anywhere, late imports included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def outside(path):
    """Top-level names of other packages that a file imports."""
    return {module.split(".")[0] for module in imports(path)} - {"ase_lode"}


def inside(path):
    """Rooms of the package that a file imports; the bare package counts as none."""
    modules = [module.split(".")[1] for module in imports(path) if module.startswith("ase_lode.")]
    return {module for module in modules if (PACKAGE / module).exists() or (PACKAGE / f"{module}.py").exists()}


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES if path != PACKAGE / "__init__.py"} <= set(LEVEL)


@pytest.mark.parametrize("path", [p for p in FILES if p != PACKAGE / "__init__.py"], ids=name)
def test_imports_go_downwards(path):
    upwards = {other for other in inside(path) if LEVEL[other] < LEVEL[room(path)]}
    assert not upwards, f"{name(path)} imports from above: {upwards}"


def test_ase_stays_at_the_doors():
    users = {name(path) for path in FILES if "ase" in outside(path)}
    assert {user for user in users if not user.startswith(("dynamics/", "check/"))} <= DOORS


def test_numba_stays_in_the_loops():
    assert {name(path) for path in FILES if "numba" in outside(path)} == {"_loops/compile.py"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "_loops").glob("*.py")), ids=name)
def test_loops_are_self_contained(path):
    """The compiled cache does not notice an edit in another file; `compile` holds what all of them share."""
    own = {module for module in imports(path) if module.startswith("ase_lode")}
    assert all(module.startswith("ase_lode._loops.compile.") for module in own)
    if path.name != "compile.py":
        assert outside(path) <= {"numpy", "math"}


def test_every_file_says_what_it_is():
    for path in FILES:
        first = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert first, f"{name(path)} has no sentence at its top"


def test_importing_the_package_is_light():
    heavy = ["numba", "scipy", "matplotlib", "pydantic", "ase"]
    code = f"import sys, ase_lode; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]"
