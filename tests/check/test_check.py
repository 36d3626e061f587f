"""The checks of foreign calculators: sound ones pass, each broken one is caught by the check that looks for it."""

import json

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io import write
from check import broken
from synthetic import potential
from typer.testing import CliRunner

from ase_lode import LODECalculator, cli
from ase_lode.check import check, child, fields, repeatability
from ase_lode.check import run as every
from ase_lode.check.run import CHECKS, FIRST, judge
from ase_lode.check.structures import built, shaken
from ase_lode.check.subject import Subject, load
from ase_lode.errors import ConfigError

BY_NAME = {one.name: one for one in [FIRST, *CHECKS]}
#: What each calculator is broken in.
LAPSES = [
    (broken.NotFinite, "evaluation"), (broken.WrongShape, "evaluation"), (broken.RefusesSlabs, "evaluation"),
    (broken.ScaledForces, "forces"), (broken.OneWrongForce, "forces"), (broken.Breaks, "forces"),
    (broken.StressSign, "stress"), (broken.VoigtOrder, "stress"), (broken.StressUnit, "stress"),
    (broken.Anisotropic, "rotation and translation"), (broken.Drags, "rotation and translation"),
    (broken.ForcesNotTurned, "rotation and translation"),
    (broken.OrderDependent, "inversion and permutation"), (broken.Chiral, "inversion and permutation"),
    (broken.NotExtensive, "supercells"), (broken.WrongInSlabs, "supercells"),
    (broken.ReadsTheDummyVector, "unit cells"), (broken.WrongOutsideTheCell, "unit cells"),
    (broken.ReadsTheCell, "unit cells"),
    (broken.AcceptsAnything, "bad input"), (broken.Speechless, "bad input"),
    (broken.ForceJumps, "no jumps"), (broken.EnergyJumps, "no jumps"),
    (broken.NetForce, "net force and torque"), (broken.Torque, "net force and torque"),
    (broken.Drifts, "repeatability"), (broken.KeepsState, "repeatability"), (broken.DriftsSlightly, "history"),
    (broken.CountsThreads, "threads of the calculator"),
    (broken.MainThreadOnly, "python threads"), (broken.SharedScratch, "python threads"),
    (broken.DiesInAFork, "fork"), (broken.CannotBeSent(), "spawn"), (broken.OtherInAnotherProcess, "spawn"),
]


def judged(name, make, structures=None):
    """Results of one check on the default structures."""
    one, subject = BY_NAME[name], Subject(make)
    if structures is None:
        structures = built(["Cu"] if name == "no jumps" else ["Cu", "Al"], 0.9)
    return [judge(one, subject, topic) for topic in ([structures] if one.together else structures)]


@pytest.fixture(autouse=True)
def no_warnings(recwarn):
    """Broken calculators may warn; `check` silences what a foreign one says."""
    import warnings

    warnings.simplefilter("ignore")


@pytest.mark.parametrize("name", BY_NAME)
def test_a_sound_calculator_passes(name):
    assert {result.status for result in judged(name, broken.Sound)} <= {"pass", "not offered"}


@pytest.mark.parametrize("kind, name", LAPSES, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_calculator_is_caught(kind, name):
    lapse = {"must": "fail", "should": "warning"}[BY_NAME[name].grade]
    assert lapse in {result.status for result in judged(name, kind)}


def test_every_check_has_a_calculator_that_it_catches():
    assert {name for _, name in LAPSES} == set(BY_NAME) - {"lattice sums", "density limit", "featomic"}


def test_all_bad_input_that_is_accepted_is_named():
    [result] = judged("bad input", broken.AcceptsNan)
    assert result.what == "a position that is not a number accepted with an energy of nan eV"
    [result] = judged("bad input", broken.CrashesOnNan)
    assert result.what.startswith("a position that is not a number: the process ended with status 11")
    [result] = judged("bad input", broken.Speechless)
    assert result.what == "an unknown element: KeyError: 0"


def test_a_process_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(repeatability, "PATIENCE", 0.3)
    [result] = judged("fork", broken.HangsInAFork)
    assert result.status == "warning" and "no answer within 0.3 s" in result.what


def test_a_new_process_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(child, "PATIENCE", 0.01)
    assert child.outcomes(broken.Sound, [bulk("Cu")]) == ["no answer within 0.01 s"]


@pytest.mark.parametrize("kind", [broken.NoStress, broken.StressOnRequest])
def test_no_stress_is_no_failure(kind):
    assert {result.status for result in judged("stress", kind)} == {"not offered"}


def test_a_calculator_that_raises_is_named():
    result = judged("evaluation", broken.RefusesSlabs)[1]
    assert result.status == "fail" and result.what == "raised RuntimeError: slabs are beyond me"


def test_a_structure_that_cannot_be_computed_is_left_out():
    results = check(broken.RefusesSlabs, built(["Cu"], 0.9)[1:2])
    assert [(result.id, result.status) for result in results] == [("R0", "fail")]


def test_a_calculator_that_cannot_be_copied():
    with pytest.raises(ConfigError, match="cannot be copied.*give a function"):
        check(broken.CannotBeCopied(), [bulk("Cu")])


def test_a_potential_without_energies():
    with pytest.raises(ConfigError, match="response alone"):
        check("water-response")


def test_a_calculator_that_knows_nothing():
    with pytest.raises(ConfigError, match="none of the structures"):
        check(broken.NotFinite)


@pytest.mark.parametrize("calculator, structures", [
    (EMT, None), (LennardJones(smooth=True), built(["Cu"], 0.4)),
    (LennardJones(sigma=3.4, epsilon=0.0104, rc=8.5, smooth=True), [bulk("Ar", "fcc", a=5.3), molecule("H2O")]),
], ids=["EMT", "LJ", "argon"])
def test_calculators_of_ase_pass_every_must(calculator, structures):
    results = check(calculator, structures)
    assert {result.status for result in results if result.grade == "must"} <= {"pass", "not offered"}
    lapses = {result.name for result in results if result.status == "warning"}
    assert "bad input" in lapses  # a zero cell has an energy, and no atoms have one
    assert ("no jumps" in lapses) == (calculator is EMT)  # its cutoff function ends at 1e-5
    assert lapses <= {"bad input", "no jumps"}


@pytest.mark.parametrize("kind, elements, kinds", [("short", ["O"], slice(0, 1)), ("charges", ["H", "O"], slice(1, 4))])
def test_our_potentials_pass(kind, elements, kinds):
    """With a field and without one, where the limits of direct sums hold in a crystal."""
    calculator = LODECalculator(potential(kind), on_extrapolation="ignore", n_threads=1)
    results = check(calculator, built(elements)[kinds])
    assert {result.status for result in results} <= {"pass", "not offered"}
    assert [result.status for result in results if result.id == "R10"][:2] == ["pass", "pass"]


def test_wrong_fields_are_caught(monkeypatch):
    right = fields.expansions
    calculator = LODECalculator(potential("short"))
    names = ["lattice sums"] + ["featomic"] * (judged("featomic", calculator, [])[0].status == "pass")

    def wrong(atoms, model):
        return {"fields": [(1 + 1e-5) * field for field in right(atoms, model)["fields"]]}

    monkeypatch.setattr(fields, "expansions", wrong)
    for name in names:
        [result] = judged(name, calculator, [])
        assert result.status == "fail" and 5e-6 < result.value < 5e-5


def test_a_wrong_density_is_caught(monkeypatch):
    right = fields.DensityConfig
    monkeypatch.setattr(fields, "DensityConfig", lambda **settings: right(**{**settings, "smearing": 0.5001}))
    [result] = judged("density limit", LODECalculator(potential("short")), [])
    assert result.status == "fail"


@pytest.mark.parametrize("exponent, expected", [(1, -1.74756459463318), (2, -2.51935615208944), (4, -3.86316380716196)])
def test_alternating_sums(exponent, expected):
    """The constants b₃(p) tabulated by Borwein and others (p = 1, 2), and the direct sum over expanding cubes."""
    if exponent == 4:
        n = np.arange(-60, 61)
        i, j, k = np.meshgrid(n, n, n, sparse=True)
        weights = np.where(np.abs(n) == 60, 0.5, 1.0)
        shares = weights[:, None, None] * weights[:, None] * weights
        square = i * i + j * j + k * k
        square[60, 60, 60] = 1
        terms = shares * (-1.0) ** (i + j + k) / square**2.0
        terms[60, 60, 60] = 0
        assert fields.alternating_sum(4) == pytest.approx(terms.sum(), abs=1e-5)
    else:
        assert fields.alternating_sum(exponent) == pytest.approx(expected, abs=1e-10)


def test_given_structures_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(every, "CHECKS", CHECKS[:6])
    atoms = bulk("Cu", cubic=True)
    atoms.set_constraint(FixAtoms([0]))
    atoms.calc = calculator = EMT()
    before = atoms.positions.copy()
    [moved] = shaken([atoms])
    assert np.abs(moved.positions - before).min() > 0 and not moved.constraints
    check(calculator, [atoms])
    assert (atoms.positions == before).all() and atoms.constraints and calculator.atoms is None


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(cli.app, ["check", *words])


def test_command(run):
    write("cu.xyz", bulk("Cu", cubic=True))
    result = run("check.broken:Sound", "cu.xyz", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0 and found["passed"] and "checks: " in result.stderr
    assert {one["structure"] for one in found["results"]} == {"cu.xyz Cu4 TTT", "all"}
    assert {one["status"] for one in found["results"]} <= {"pass", "not offered"}


def test_command_fails_with_the_calculator(run, monkeypatch):
    monkeypatch.setattr(every, "CHECKS", CHECKS[:2])
    write("cu.xyz", bulk("Cu", cubic=True))
    result = run("check.broken:ScaledForces", "cu.xyz", "--quiet")
    assert result.exit_code == 1 and "1 failed" in result.stdout and result.stderr == ""
    assert "fails what others build on" in result.stdout


def test_command_without_a_calculator(run):
    for word, message in (("nowhere:EMT", "cannot be imported"), ("ase.calculators.emt:Emt", "has no 'Emt'"),
                          ("nothing", "There is no potential 'nothing'")):
        result = run(word)
        assert result.exit_code == 1 and message in result.stderr


def test_modules_in_the_working_directory_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_for_checks.py").write_text("from ase.calculators.emt import EMT\ncalc = EMT()\n")
    monkeypatch.setattr("sys.path", ["nowhere"])
    assert isinstance(load("mine_for_checks:calc"), EMT)
