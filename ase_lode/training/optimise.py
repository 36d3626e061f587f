"""Orthogonalised momentum with averaged weights: a training run that can be stopped and resumed bit for bit."""

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, field

import numpy as np

from ase_lode.training.muon import orthogonalised

#: Decay of the averages of the gradient and of its square.
MOMENTS = (0.9, 0.999)
#: Steps of matrices relative to those of biases.
MATRICES = 0.3
#: Steps over which the learning rate rises from 0, and the share of it that is left at the end.
WARM, LEFT = 100, 0.002
#: Share of what earlier steps say of the reference energies that is left after a step.
REMEMBERED = 0.98
#: Validations, and checkpoints, in a run.
VALIDATIONS = 100


@dataclass
class Run:
    """Where a training run stands; everything a resumed run needs.

    Attributes
    ----------
    step : int
    weights, average, best : array
        Present, averaged, and averaged at the best validation.
    first, second : array
        Averages of the gradient and of its square.
    curvature : array, shape (elements, elements)
        That of the loss by the reference energies, of the latest steps.
    order : array of int
        Structures of the present epoch that are still to come.
    score : float
        Best validation score.
    history : list of dict
    """

    step: int
    weights: np.ndarray
    average: np.ndarray
    best: np.ndarray
    first: np.ndarray
    second: np.ndarray
    curvature: np.ndarray
    order: np.ndarray
    score: float = np.inf
    history: list = field(default_factory=list)

    @classmethod
    def start(cls, weights, n_elements):
        """At the first step."""
        zero, curvature = np.zeros_like(weights), np.zeros((n_elements, n_elements))
        return cls(0, weights, weights.copy(), weights.copy(), zero, zero.copy(), curvature, np.zeros(0, np.int64))

    def save(self, path, key, rng):
        """Write a checkpoint in one step."""
        note = json.dumps({"key": key, "step": self.step, "score": self.score, "history": self.history,
                           "rng": rng.bit_generator.state})
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        try:
            with open(draft, "wb") as stream:
                np.savez(stream, note=np.array(note), **arrays)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def load(cls, path, key, rng):
        """The run of a checkpoint, or None if there is none of this configuration and data."""
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as content:
                arrays = dict(content)
            note = json.loads(str(arrays.pop("note")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        if note["key"] != key:
            return None
        rng.bit_generator.state = note["rng"]
        return cls(note["step"], score=note["score"], history=note["history"], **arrays)


def digest(settings):
    """Key of a checkpoint: a checksum of everything that decides the run."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


class Optimiser:
    """Minimises the loss of a network on its training structures.

    Biases take the steps of Adam, matrices those of Muon (see `orthogonalised`), each relative to its typical size. The
    learning rate rises, then falls as a cosine; in the second half the weight of energies grows, as the forces
    have settled. Reference energies follow by recursive least squares: forces leave the zero of energies free, and it
    would drift. Weights are averaged exponentially, and the average with the best validation score is kept.

    Parameters
    ----------
    network : Network
    settings : NetworkConfig
    loss : Loss
    train, held : list of Sample
    sizes : array
        What steps are relative to, see `initial`.
    seed : int
    progress : Progress
    free_references : bool
        Whether the reference energies may change.
    """

    def __init__(self, network, settings, loss, train, held, sizes, seed, progress, free_references=True):
        self._network, self._settings, self._loss, self._free_references = network, settings, loss, free_references
        self._train, self._held, self._sizes = train, held, sizes
        self._progress = progress
        self._decaying = np.ones_like(sizes)
        for name, part in network.unpack(self._decaying).items():
            part[:] = 0.0 if "bias" in name else 1.0
        self._decaying[sizes == 0.0] = 0.0
        self._rng = np.random.default_rng([seed, 1])
        atoms = np.mean([len(s) for s in train])
        self._batch = int(np.clip(round(settings.batch_atoms / atoms), 1, len(train)))
        self._every = max(1, settings.steps // VALIDATIONS)

    def run(self, weights, checkpoint=None, key=""):
        """Optimise from the given weights, or from the checkpoint if it belongs to the same key.

        Returns
        -------
        weights : array
        history : list of dict
            Step, learning rate, mean loss per structure since the last entry and validation errors.
        """
        run = Run.load(checkpoint, key, self._rng) if checkpoint else None
        if run is None:
            if checkpoint and checkpoint.exists():
                self._progress.say(f"{checkpoint} belongs to other settings or data; starting anew")
            run = Run.start(weights, len(self._network.elements))
        else:
            self._progress.say(f"resuming {checkpoint} at step {run.step}")
        total, losses = self._settings.steps, []
        for _ in self._progress.track(range(run.step, total), "training", total - run.step):
            losses.append(self._step(run))
            if run.step % self._every == 0 or run.step == total:
                self._validate(run, np.mean(losses))
                losses = []
                if checkpoint:
                    run.save(checkpoint, key, self._rng)
        return run.best, run.history

    def _step(self, run):
        settings = self._settings
        done = run.step / settings.steps
        if len(run.order) < self._batch:
            run.order = self._rng.permutation(len(self._train))
        batch, run.order = run.order[:self._batch], run.order[self._batch:]
        start, end = settings.energy_weights
        energy_weight = start * (end / start) ** max(0.0, 2 * done - 1)
        samples = [self._train[k] for k in batch]
        loss, gradient = self._loss.gradient(run.weights, samples, energy_weight)
        if self._free_references:
            self._follow_references(run, samples, gradient[self._network.n_parameters:] / energy_weight)
        gradient /= sum(len(s) for s in samples)
        run.step += 1
        rate = settings.learning_rate * min(1.0, run.step / WARM) * (LEFT + (1 - LEFT) * (1 + np.cos(np.pi * done)) / 2)
        one, two = MOMENTS
        run.first += (1 - one) * (gradient - run.first)
        run.second += (1 - two) * (gradient**2 - run.second)
        run.weights -= rate * self._sizes * self._direction(run, gradient)
        run.weights -= rate * settings.weight_decay * run.weights * self._decaying
        window = min(settings.averaged_steps, -(-settings.steps // 4))  # of a short run, not what it began with
        run.average += (run.weights - run.average) / min(window, run.step)
        return loss / len(samples)

    def _follow_references(self, run, samples, gradient):
        """Newton's step of the reference energies, with the curvature of the latest batches."""
        run.curvature *= REMEMBERED
        for sample in samples:
            if sample.energy is not None and self._loss.scales.energy > 0:
                factor = 2 / (self._loss.scales.energy**2 * len(sample))
                run.curvature += factor * np.outer(sample.counts, sample.counts)
        run.weights[self._network.n_parameters:] -= np.linalg.lstsq(run.curvature, gradient, rcond=1e-9)[0]

    def _direction(self, run, gradient):
        """Step per learning rate of every parameter, relative to its size."""
        one, two = MOMENTS
        first, second = run.first / (1 - one**run.step), run.second / (1 - two**run.step)
        result = first / np.maximum(np.sqrt(second) + 1e-12 * np.sqrt(second.max()), 1e-300)  # no gradient, no step
        momenta = self._network.unpack(self._sizes * (one * run.first + (1 - one) * gradient))
        for name, part in self._network.unpack(result).items():
            if part.ndim == 3 and part.size:  # without strengths they have no weights
                part[:] = MATRICES * orthogonalised(momenta[name])
        return result

    def _validate(self, run, loss):
        found = {}
        if self._held:
            found = self._loss.errors(run.average, self._held, self._free_references)
        score = sum((found[kind] / scale) ** 2 for kind, scale in self._loss.spreads.items() if kind in found)
        if score < run.score or not self._held:
            run.score, run.best = float(score), run.average.copy()
        run.history.append({"step": run.step, "loss": float(loss), **found})
        units = self._loss.units
        shown = ", ".join(f"{kind} {value * units[kind][1]:.4g} {units[kind][0]}" for kind, value in found.items())
        self._progress.say(f"step {run.step} of {self._settings.steps}: loss {loss:.4g}; validation {shown}")

