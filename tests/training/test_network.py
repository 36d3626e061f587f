"""Training of a network: its gradient against differences of the loss, exact resuming, repeatability, refusals."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator

from ase_lode import load_potential
from ase_lode.errors import ConfigError
from ase_lode.hypers import ModelConfig, read_config
from ase_lode.models.baseline import Baseline
from ase_lode.models.network import Network
from ase_lode.models.network_head import NetworkHead
from ase_lode.models.potential import Potential
from ase_lode.neighbors import NeighborList
from ase_lode.system import System
from ase_lode.training import train
from ase_lode.training.dataset import Structure
from ase_lode.training.last_layers import LastLayers
from ase_lode.training.metrics import voigt
from ase_lode.training.network import Loss, errors, initial, join, make_samples
from ase_lode.training.optimise import Optimiser
from ase_lode.training.progress import Progress
from ase_lode.training.rows import Scales

ELEMENTS = ("H", "O")
HEAD = {"type": "network", "channels": 16, "strengths": 2, "hidden": [8], "steps": 24, "batch_atoms": 9,
        "averaged_steps": 5}


def model(**settings):
    return read_config(ModelConfig, {
        "elements": list(ELEMENTS), "density": {"cutoff": 3.0, "max_radial": 3, "max_angular": 2},
        "fields": [{"exponent": 1, "max_angular": 1, "sources": "learned"}], "head": HEAD, **settings}).resolved()


def labelled(rng, periodic):
    """Water or ice-like oxide with arbitrary labels of every kind."""
    atoms = bulk("HO", "rocksalt", a=3.4) * (2, 1, 1) if periodic else molecule("H2O")
    atoms.positions += 0.1 * rng.normal(size=atoms.positions.shape)
    n = len(atoms)
    labels = {"energy": rng.normal(), "forces": rng.normal(size=(n, 3)), "charges": rng.normal(size=n)}
    labels |= {"stress": 0.1 * rng.normal(size=6)} if periodic else {"dipole": rng.normal(size=3)}
    return Structure(System.from_atoms(atoms), **labels)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(3)
    network = Network(model(), 1e-5)
    baseline = Baseline(ELEMENTS, np.array([0.3, -0.2]))
    samples = make_samples([labelled(rng, periodic) for periodic in (False, True, False)], network, baseline)
    weights, sizes = initial(network, samples, 0)
    return network, samples, weights + 0.05 * sizes * rng.normal(size=weights.shape), sizes


def test_the_gradient_is_that_of_the_loss(problem):
    """By each group of parameters; energies, forces, stresses, dipoles and charges in the loss."""
    network, samples, weights, sizes = problem
    loss = Loss(network, Scales(0.7, 1.3, 0.2), dipole=0.8, charges=0.6)
    value, gradient = loss.gradient(weights, samples, 0.4)
    assert value > 1.0
    rng = np.random.default_rng(0)
    for name, shape in network.shapes.items():
        if not network.unpack(sizes)[name].any():
            continue
        direction = np.zeros_like(weights)
        network.unpack(direction)[name][:] = rng.normal(size=shape) * network.unpack(sizes)[name]
        ends = [loss.gradient(weights + step * direction, samples, 0.4)[0] for step in (4e-5, -4e-5, 2e-5, -2e-5)]
        expected = (4 * (ends[2] - ends[3]) / 4e-5 - (ends[0] - ends[1]) / 8e-5) / 3
        assert gradient @ direction == pytest.approx(expected, rel=1e-5, abs=2e-6 * value), name
    for number in range(network.n_parameters, len(weights)):
        direction = 1e-3 * np.eye(1, len(weights), number)[0]
        ends = [loss.gradient(weights + step * direction, samples, 0.4)[0] for step in (1, -1)]
        assert gradient[number] == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=1e-6), "reference energy"


@pytest.mark.parametrize("free", [True, False])
def test_what_is_linear_is_solved(problem, free):
    """A network with other last and direct layers and references is found again from energies, forces and stresses."""
    network, rng = problem[0], np.random.default_rng(5)
    samples = make_samples([labelled(rng, k % 2) for k in range(12)], network, Baseline(ELEMENTS, np.zeros(2)))
    row, _ = initial(network, samples, 0)
    start, hidden = row.copy(), HEAD["hidden"][-1]
    change = 0.3 * rng.standard_normal((2, 2, hidden + network.n_inputs))
    change[..., hidden:] /= np.sqrt(network.n_inputs)
    network.add_linear(network.unpack(start), change)
    start[network.n_parameters:] += [0.4 * free, -0.7 * free]
    for sample in samples:
        graph = join([sample], [(None, None)], 2)
        energies, _, state = network.compute(network.unpack(row), graph)
        gradient, virials = network.pull_back(network.unpack(row), state, np.ones(len(energies)))
        references = row[network.n_parameters:] - energies[-2:]
        sample.energy, sample.forces = energies[:-2].sum() + sample.counts @ references, -gradient[:-2]
        if sample.stress is not None:
            sample.stress = voigt(virials[0]) / sample.system.measure
    spreads = {"energy": 1.0, "forces": 1.0, "stress": 0.1}
    layers = LastLayers(network, start, samples, spreads, 0, 1, free)
    layers.solve([], Progress(True))
    before, after = (errors(network, found, samples) for found in (start, layers.row))
    assert all(after[kind] < 0.05 * before[kind] for kind in spreads)
    assert (layers.row[network.n_parameters:] == start[network.n_parameters:]).all() != free


@pytest.mark.parametrize("inputs", [True, False], ids=["with inputs", "file of before"])
def test_draws_are_changes_of_the_weights(problem, inputs):
    """Energies and gradients of the posterior's draws, against potentials with these weights."""
    network, _, weights, _ = problem
    rng, hidden = np.random.default_rng(6), HEAD["hidden"][-1]
    draws = rng.standard_normal((2, 2, 2, hidden + network.n_inputs * inputs))
    own, system = weights[:network.n_parameters], labelled(rng, True).system

    def evaluated(weights):
        potential = Potential(model(), weights, Baseline(ELEMENTS, np.zeros(2)), {}, draws)
        head = NetworkHead(potential, 1e-5)
        state = head.compute(system, NeighborList(network.cutoff), 1, True)
        return state.energies.sum(), head.pull_back(state, 1)[0], head.deviations(state, True, 1)

    energy, gradient, (energies, gradients) = evaluated(own)
    for draw, d_energy, d_gradient in zip(draws, energies, gradients):
        changed, change = own.copy(), np.zeros((2, 2, hidden + network.n_inputs))
        change[..., :draw.shape[-1]] = draw
        parameters = network.unpack(changed)
        change[..., hidden:] /= [parameters[f"{name}.scale"] for name in ("first", "second")]
        network.add_linear(parameters, change)
        found, slope, _ = evaluated(changed)
        assert found - energy == pytest.approx(d_energy, rel=1e-9)
        np.testing.assert_allclose(slope - gradient, d_gradient, rtol=1e-8, atol=1e-9 * abs(d_gradient).max())


def test_threads_do_not_change_the_gradient(problem):
    network, samples, weights, _ = problem
    losses = (Loss(network, Scales(0.7, 1.3, 0.2), dipole=0.8, n_threads=n) for n in (1, 2))
    one, two = (loss.gradient(weights, samples) for loss in losses)
    assert one[0] == two[0] and (one[1] == two[1]).all()


def test_threads_do_not_change_the_errors(problem):
    network, samples, weights, _ = problem
    assert errors(network, weights, samples) == errors(network, weights, samples, 2)


def test_energies_are_judged_where_reference_energies_could_meet_them_all(problem):
    """Of many structures the best reference energies are taken off, of as few as they are nothing."""
    network, samples, weights, _ = problem
    few, many = (errors(network, weights, part, free_references=True)["energy"] for part in (samples[:1], samples))
    assert few == errors(network, weights, samples[:1])["energy"] > 0.1
    assert many < errors(network, weights, samples)["energy"]


def test_a_pair_of_elements_in_one_structure_of_many_is_learned():
    """Its channels start, and smaller than those that every centre meets, or its few centres would dwarf the others."""
    network, rng = Network(model(), 1e-5), np.random.default_rng(0)
    structures = [Structure(System.from_atoms(Atoms("H2", [[0, 0, 0], [0, 0, 0.7 + 0.2 * rng.random()]])))
                  for _ in range(100)]
    structures[33] = labelled(rng, False)
    row, sizes = initial(network, make_samples(structures, network, Baseline(ELEMENTS, np.zeros(2))), 0)
    theta, sizes = network.unpack(row), network.unpack(sizes)
    n_orders, lanes = len(network.orders), network.density.lanes
    common, rare = (theta["first.density"][0, block] for block in (slice(0, lanes), slice(lanes, 2 * lanes)))
    assert rare.any() and sizes["first.density"][n_orders].any(), "H meets O, and O meets H"
    assert np.isfinite(row).all() and np.std(rare) < 5 * np.std(common)


def test_a_pair_that_is_close_in_one_structure_of_many_does_not_dwarf_the_others():
    """Met near the cutoff in all others, where its density is nearly nothing."""
    network, rng = Network(model(), 1e-5), np.random.default_rng(0)
    distances = np.full(100, 2.9)
    distances[33] = 0.8
    structures = [Structure(System.from_atoms(Atoms("H2", [[0, 0, 0], [0, 0, d + 0.05 * rng.random()]])))
                  for d in distances]
    samples = make_samples(structures, network, Baseline(ELEMENTS, np.zeros(2)))
    theta = network.unpack(initial(network, samples, 0)[0])
    inputs = network.inputs(theta, join([samples[33]], [(None, None)], 0))[0]
    assert abs((inputs - theta["first.mean"][0]) * theta["first.scale"][0]).max() < 50


def test_learned_charges_add_up_to_the_total_charge(problem):
    network, _, weights, _ = problem
    parameters = network.unpack(weights)
    for charge in (0.0, -1.0):
        system = System.from_atoms(molecule("H2O"), charge)
        _, charges, _ = network.compute(parameters, network.graph(system, NeighborList(network.cutoff)))
        assert charges.sum() == pytest.approx(charge, abs=1e-12)
        assert np.ptp(charges) > 1e-3


def optimiser(problem, held=True):
    network, samples, weights, sizes = problem
    loss = Loss(network, Scales(0.7, 1.3, 0.2))
    return Optimiser(network, model().head, loss, samples[:2], samples[2:] if held else [], sizes, 0, Progress(True))


class Stopped(Exception):
    """The run was interrupted."""


@pytest.mark.parametrize("stop", [5, 17])
def test_a_resumed_run_ends_with_the_same_bits(problem, tmp_path, monkeypatch, stop):
    weights = problem[2]
    whole, history = optimiser(problem).run(weights.copy())
    interrupted, step = optimiser(problem), Optimiser._step

    def stopping(self, run):
        if run.step == stop:
            raise Stopped
        return step(self, run)

    monkeypatch.setattr(Optimiser, "_step", stopping)
    with pytest.raises(Stopped):
        interrupted.run(weights.copy(), tmp_path / "run.npz", "key")
    monkeypatch.setattr(Optimiser, "_step", step)
    resumed, again = optimiser(problem).run(weights.copy(), tmp_path / "run.npz", "key")
    assert (resumed == whole).all() and [h["step"] for h in again] == [h["step"] for h in history]
    other, _ = optimiser(problem).run(weights.copy(), tmp_path / "run.npz", "another key")
    assert (other == whole).all()


def test_a_damaged_checkpoint_is_passed_over(problem, tmp_path):
    weights, path = problem[2], tmp_path / "run.npz"
    whole, _ = optimiser(problem).run(weights.copy(), path, "key")
    path.write_bytes(path.read_bytes()[:-100])
    again, _ = optimiser(problem).run(weights.copy(), path, "key")
    assert (again == whole).all()


def test_the_loss_falls(problem):
    _, history = optimiser(problem, held=False).run(problem[2].copy())
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]


def test_yaml_to_potential(tiny_network, tmp_path):
    """A run writes a file that says the same, twice the same bytes, with uncertainties of the errors' size."""
    potential, report = train(tiny_network, quiet=True)
    first = (tmp_path / "out" / "tiny.lode").read_bytes()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.yaml", "report.html", "tiny.lode"]
    loaded = load_potential(tmp_path / "out" / "tiny.lode")
    system = System.from_atoms(molecule("H2O"))
    assert loaded.evaluate(system).energy == potential.evaluate(system).energy
    assert 0.4 < report["coverage"]["validation"]["forces"] < 0.95
    assert report["history"][-1]["step"] == HEAD["steps"]
    train(tiny_network, quiet=True)
    assert (tmp_path / "out" / "tiny.lode").read_bytes() == first


def test_other_labels_of_the_same_file_do_not_go_on_from_a_checkpoint(tiny_network, tmp_path, monkeypatch):
    step = Optimiser._step

    def stopping(self, run):
        if run.step == 17:
            raise Stopped
        return step(self, run)

    monkeypatch.setattr(Optimiser, "_step", stopping)
    with pytest.raises(Stopped):
        train(tiny_network, quiet=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tiny.training.npz"]
    monkeypatch.setattr(Optimiser, "_step", step)
    tiny_network["data"]["units"] = {"energy": "meV"}
    train(tiny_network, quiet=True)
    found = (tmp_path / "out" / "tiny.lode").read_bytes()
    train(tiny_network, quiet=True)
    assert (tmp_path / "out" / "tiny.lode").read_bytes() == found


def test_single_atoms(tiny_network, tmp_path):
    """There is nothing to learn but reference energies, and nothing uncertain."""
    frames = []
    for symbol, energy in zip("HOHOHO", (-1.0, -2.0) * 3):
        atoms = Atoms(symbol)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((1, 3)))
        frames.append(atoms)
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    tiny_network["data"]["validation"] = {}
    potential, _ = train(tiny_network, quiet=True)
    found = potential.evaluate(System.from_atoms(Atoms("O")), uncertainty=True)
    assert found.energy == pytest.approx(-2.0) and found.energy_uncertainty == 0.0


@pytest.mark.parametrize("change", [{"strengths": 0}, {"strengths": 0, "cubic_angular": 0}])
def test_smaller_networks_train(tiny_network, change):
    """Without a second density, and without body order 4: forces are still derivatives of the energy."""
    tiny_network["model"]["head"] = {**tiny_network["model"]["head"], **change}
    _, report = train(tiny_network, quiet=True)
    assert report["force_check"]["relative_deviation"] < 1e-6


@pytest.mark.parametrize("change, words", [
    ({"fields": [{"sources": "charges"}]}, "sources: learned"),
    ({"fields": [{"sources": "learned"}], "head": {"type": "ridge"}}, "head: {type: network}"),
    ({"density": {"cutoff": 3.0, "max_radial": 3, "max_angular": 2, "basis": "gto"}}, "basis: compact"),
    ({"head": {"type": "network", "channels": 12}}, "channels"),
])
def test_heads_and_fields_that_do_not_fit(change, words):
    with pytest.raises(ConfigError, match=words):
        model(**change)
