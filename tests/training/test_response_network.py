"""A network of responses: its gradient against differences of the loss, exact resuming, refusals; it learns rules."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from bond_rules import TARGETS, born, dipole, polarizability, water, write_structures

from ase_lode import LODECalculator, train
from ase_lode.errors import ConfigError
from ase_lode.hypers import ModelConfig, read_config
from ase_lode.models.tensor_network import TensorNetwork
from ase_lode.system import System
from ase_lode.training.dataset import Structure
from ase_lode.training.network import initial
from ase_lode.training.optimise import Run
from ase_lode.training.tensor_loss import TensorLoss, tensor_samples

HEAD = {"type": "network", "channels": 16, "strengths": 2, "hidden": [8], "steps": 24, "batch_atoms": 9,
        "averaged_steps": 5}
ORDERS = {"born_effective_charges": ["0", "axial", "2"], "dielectric_tensor": ["0", "2"], "dipole": ["0", "1"],
          "polarizability": ["0", "2"]}


def labelled(rng, periodic):
    """A charged molecule or a crystal with arbitrary labels."""
    atoms = bulk("HO", "rocksalt", a=3.4) * (2, 1, 1) if periodic else molecule("H2O")
    atoms.positions += 0.1 * rng.normal(size=atoms.positions.shape)
    if not periodic:
        atoms.info["charge"] = 1.0
    tensors = rng.normal(size=(2, 3, 3))
    alpha, epsilon = tensors + tensors.transpose(0, 2, 1)
    labels = {"polarizability": alpha, "born_effective_charges": rng.normal(size=(len(atoms), 3, 3))}
    labels |= {"dielectric_tensor": 4 * np.eye(3) + 0.2 * epsilon} if periodic else {"dipole": rng.normal(size=3)}
    return Structure(System.from_atoms(atoms), response=labels)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(3)
    model = read_config(ModelConfig, {
        "elements": ["H", "O"], "density": {"cutoff": 3.0, "max_radial": 3, "max_angular": 2},
        "fields": [{"exponent": 1, "max_angular": 1, "sources": "learned"}], "head": HEAD}).resolved()
    network = TensorNetwork(model, 1e-5, ORDERS)
    samples, _, targets = tensor_samples(network, ORDERS, [labelled(rng, k) for k in (False, True, False)], [])
    weights, sizes = initial(network, samples, 0)
    return network, samples, targets, weights + 0.05 * sizes * rng.normal(size=weights.shape), sizes


def test_the_gradient_is_that_of_the_loss(problem):
    """By each group of parameters, with every target in the loss."""
    network, samples, targets, weights, sizes = problem
    loss, rng = TensorLoss(network, targets), np.random.default_rng(0)
    value, gradient = loss.gradient(weights, samples)
    assert value > 1.0
    for name, shape in network.shapes.items():
        if not network.unpack(sizes)[name].any():
            continue
        direction = np.zeros_like(weights)
        network.unpack(direction)[name][:] = rng.normal(size=shape) * network.unpack(sizes)[name]
        ends = [loss.gradient(weights + step * direction, samples)[0] for step in (4e-4, -4e-4, 2e-4, -2e-4)]
        expected = (4 * (ends[2] - ends[3]) / 4e-4 - (ends[0] - ends[1]) / 8e-4) / 3
        assert gradient @ direction == pytest.approx(expected, rel=1e-6, abs=1e-8 * value), name


def test_threads_do_not_change_the_gradient(problem):
    network, samples, targets, weights, _ = problem
    one, two = (TensorLoss(network, targets, n).gradient(weights, samples) for n in (1, 2))
    assert one[0] == two[0] and (one[1] == two[1]).all()


def test_errors_are_those_of_the_loss(problem):
    """Sums of squares in units of the spread, structure by structure."""
    network, samples, targets, weights, _ = problem
    loss = TensorLoss(network, targets)
    for sample in samples:
        found = loss.errors(weights, [sample])
        assert set(found) == set(sample.structure.response)
        squares = [(found[one.name] / one.size) ** 2 * (len(sample) if one.per_atom else 1)
                   for one in targets if one.name in found]
        assert loss.gradient(weights, [sample])[0] == pytest.approx(sum(squares), rel=1e-10)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_structures(tmp_path_factory.mktemp("network") / "data.xyz")


def settings(data, targets=TARGETS, folder="out", **head):
    return {"schema": 1, "model": {"density": {"cutoff": 3.5, "max_radial": 5, "max_angular": 3}},
            "data": {"train": {"file": str(data), "energy": None, "forces": None, "isolated": True},
                     "validation": {"fraction": 0.15}},
            "targets": targets, "response": {"head": {**HEAD, **head}},
            "output": {"name": "learned", "directory": str(data.parent / folder)}}


def test_responses_are_learned_together(data):
    """Blind to the geometry 100 % of the spread are left; the steps are few, and the bonds found to this."""
    targets = {**TARGETS, "born_effective_charges": {"key": "zeff"}}
    potential, report = train(settings(data, targets, hidden=[32], steps=600, batch_atoms=36), quiet=True)
    errors = report["errors"]["validation"]
    assert all(errors[name]["percent_of_spread"] < 15 for name in targets)
    atoms = water(100)
    atoms.calc = LODECalculator(potential, on_extrapolation="ignore", n_threads=1)
    assert atoms.get_dipole_moment() == pytest.approx(dipole(atoms), abs=0.2)
    assert atoms.calc.extras["polarizability"] == pytest.approx(polarizability(atoms), abs=0.5)
    found = atoms.calc.get_property("born_effective_charges", atoms)
    assert found == pytest.approx(born(atoms), abs=0.2)
    assert not list((data.parent / "out").glob("*.npz"))


def test_an_interrupted_run_ends_with_the_same_bytes(data, monkeypatch):
    whole = train(settings(data, folder="whole"), quiet=True)[0]
    save = Run.save

    def interrupted(run, *arguments):
        save(run, *arguments)
        if run.step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(settings(data, folder="again"), quiet=True)
    monkeypatch.undo()
    assert (data.parent / "again" / "learned.response.training.npz").is_file()
    assert train(settings(data, folder="again"), quiet=True)[0].sha256 == whole.sha256
    assert not (data.parent / "again" / "learned.response.training.npz").exists()


@pytest.mark.parametrize("response, words", [
    ({"head": HEAD, "scalars": 4}, "response.scalars belongs to the ridge"),
    ({"head": {**HEAD, "committee": 2}}, "no committee"),
    ({"head": {**HEAD, "energy_weights": [1.0, 1.0]}}, "no energy_weights"),
    ({"head": HEAD, "fields": [{"exponent": 1}]}, "sources: learned"),
    ({"head": HEAD, "fields": [{"sources": "learned", "near_field": "full"}]}, "response.fields.*network"),
    ({"head": HEAD, "density": {"cutoff": 3.5, "basis": "gto", "smearing": 0.5}}, "response.density.*compact"),
    ({"fields": [{"exponent": 1, "sources": "learned"}]}, "response.head"),
    ({"head": HEAD, "density": {"cutoff": 3.5, "max_radial": 4, "max_angular": 0}}, "max_angular")])
def test_what_does_not_go_together(data, response, words):
    with pytest.raises(ConfigError, match=words):
        train({**settings(data), "response": response}, quiet=True)


def test_fields_of_fixed_sources_are_not_dropped_in_silence(data):
    config = settings(data)
    config["model"]["fields"] = [{"exponent": 1, "sources": "elements"}]
    with pytest.raises(ConfigError, match="name response.fields"):
        train(config, quiet=True)


@pytest.mark.parametrize("energies", ["ridge", "network"])
@pytest.mark.parametrize("responses", [None, HEAD], ids=["ridge", "network"])
def test_energies_and_responses_together(data, energies, responses):
    config = settings(data)
    config["data"]["train"]["energy"] = "e"
    config["model"] |= {"head": HEAD if energies == "network" else {"type": "ridge"},
                        "baseline": {"allow_rank_deficient": True}}
    config["response"] = {"head": responses} if responses else {"scalars": 2, "features": 32, "channels": 8}
    potential, report = train(config, quiet=True)
    assert {"energy", *TARGETS} <= set(report["errors"]["validation"])
    assert potential.respond(System.from_atoms(water(100))).dipole.shape == (3,)
