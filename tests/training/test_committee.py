"""What a committee teaches: its mean, on structures that the data's own dynamics visits."""

from types import SimpleNamespace

import numpy as np
import pytest

from ase_lode import load_potential
from ase_lode.errors import DataError
from ase_lode.system import System
from ase_lode.training import network_training, train
from ase_lode.training.committee import DRAWN, taught
from ase_lode.training.dataset import Structure
from ase_lode.training.last_layers import LastLayers
from ase_lode.training.network import Sample
from ase_lode.training.optimise import Optimiser
from ase_lode.training.progress import Progress

KT = 0.03
K = np.linspace(6.0, 18.0, 16)[:, None]


def row(k, reference=0.0):
    """A member of a committee."""
    return np.append(k, reference)


class Wells:
    """Atoms in wells k/2 |x - x₀|² about a grid; the parameters are the k of each, shape (16, 1).

    In a row a reference energy follows.
    """

    elements, coulomb, cutoff, density, n_parameters = ["H"], None, 1.0, SimpleNamespace(cutoff=1.0), 16
    sites = 5.0 * np.array([[x, y, 0.0] for x in range(4) for y in range(4)])

    def unpack(self, row):
        return row[:16, None]

    def compute(self, k, graph):
        away = [part.system.positions - self.sites for part in graph.parts]
        gradient = np.vstack([k * x for x in away] + [np.zeros((1, 3))])
        energies = np.append(np.concatenate([(k / 2 * x**2).sum(axis=1) for x in away]), 0.0)
        return energies, np.zeros((len(energies), 0)), gradient

    def pull_back(self, k, state, d_energies):
        return state, np.zeros((len(state), 3, 3))


def samples(k, count):
    """Structures of the wells at the temperature KT."""
    rng = np.random.default_rng(1)
    away = rng.normal(size=(count, len(Wells.sites), 3)) * np.sqrt(KT / abs(k))
    return [Sample(Structure(System(np.ones(16, np.int64), Wells.sites + x, np.eye(3), np.zeros(3, bool)),
                             forces=-k * x), Wells(), None) for x in away]


def test_walks_keep_the_temperature_of_the_labels_and_carry_mean_labels():
    labelled = samples(K, 80)
    found = taught(Wells(), [row(K, 0.2), row(K / 2, 0.4)], labelled, Progress(quiet=True), 0)
    assert len(found) == 80 * DRAWN
    away = np.array([s.system.positions - Wells.sites for s in found])
    assert np.mean(K * away**2) == pytest.approx(np.mean([s.forces**2 / K for s in labelled]), rel=0.05)
    assert abs(away[:DRAWN] - away[-DRAWN:]).max() > 0.05
    for sample, x in zip(found, away):
        assert sample.forces == pytest.approx(-0.75 * K * x)
        assert sample.energy == pytest.approx(16 * 0.3 + 0.375 * np.sum(K * x**2))


def test_only_some_structures_of_a_large_set_are_left(monkeypatch):
    monkeypatch.setattr("ase_lode.training.committee.ATOMS", 10 * len(Wells.sites))
    assert len(taught(Wells(), [row(K)], samples(K, 20), Progress(quiet=True), 0)) == 10 * DRAWN


def test_no_forces_are_refused_before_any_training(tiny_network):
    tiny_network["model"]["head"] = {**tiny_network["model"]["head"], "committee": 2}
    tiny_network["data"]["train"]["forces"] = None
    with pytest.raises(DataError, match="needs forces"):
        train(tiny_network, check=True, quiet=True)


def test_no_minima():
    assert taught(Wells(), [row(-K)], samples(K, 2), Progress(quiet=True), 0) == []


def test_a_committee_teaches_a_potential(tiny_network, tmp_path, monkeypatch):
    """From YAML; the committee changes the potential, its checkpoints are gone, and the file says so."""
    monkeypatch.setattr("ase_lode.training.committee._curvature", lambda *_: 1e6)  # slow: these labels have no minimum
    alone, _ = train(tiny_network, quiet=True)
    tiny_network["model"]["head"] = {**tiny_network["model"]["head"], "committee": 2}
    train(tiny_network, quiet=True)
    loaded = load_potential(tmp_path / "out" / "tiny.lode")
    assert loaded.header["training"]["committee"] == 2 and abs(loaded.weights - alone.weights).max() > 1e-4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.yaml", "report.html", "tiny.lode"]


class Stopped(Exception):
    """The run was interrupted."""


def test_a_run_that_is_stopped_in_every_phase_ends_with_the_same_bytes(tiny_network, tmp_path, monkeypatch):
    monkeypatch.setattr("ase_lode.training.committee._curvature", lambda *_: 1e6)  # slow: these labels have no minimum
    tiny_network["model"]["head"] = {**tiny_network["model"]["head"], "committee": 1}
    train(tiny_network, quiet=True)
    whole = (tmp_path / "out" / "tiny.lode").read_bytes()
    (tmp_path / "out" / "tiny.lode").unlink()
    phases = [(Optimiser, "_step", 17), (network_training, "taught", 1), (Optimiser, "_step", 17),
              (LastLayers, "solve", 1)]  # a member, structures for the committee, its pupil, last layers
    for owner, name, last in phases:
        work, left = getattr(owner, name), iter(range(last - 1))

        def stopping(*arguments, work=work, left=left):
            if next(left, None) is None:
                raise Stopped
            return work(*arguments)

        with monkeypatch.context() as patch, pytest.raises(Stopped):
            patch.setattr(owner, name, stopping)
            train(tiny_network, quiet=True)
    train(tiny_network, quiet=True)
    assert (tmp_path / "out" / "tiny.lode").read_bytes() == whole
