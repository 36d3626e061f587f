"""Polarizabilities of water dimers from few coupled-cluster labels and many cheap ones.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/dimer_levels.py`` writes ``results/dimer_levels.md`` and the new dimers
with their labels, ``md_examples/data/water_dimers.extxyz.gz``. The molecules by themselves are coupled cluster's. What
they do to each other comes from the cheap levels of `dimer_labels.py`, weighted to suit the coupled-cluster labels, and
a kernel made for two molecules (`water_pairs.py`) that learns the remainder from these. This labels the new dimers,
which a network learns with the published ones and with monomers. Molecules farther apart than its cutoff act on each
other through a field whose sources it learns. A tenth of the published dimers, that of `response_limits.py`,
is held back from all of it and judges; another tenth validates: strengths and the best step are chosen on it.
(The kernel's lengths alone were once chosen with the former.)

The best network also tells what the molecules of the clusters of `cluster_labels.py` are by themselves and in pairs.
With what they do beyond pairs they are written to ``md_examples/data/water_clusters.extxyz.gz``.

From nothing: `dimer_labels.py`; `dimer_choice.py` and `dimer_labels.py` again, as often as there are rounds;
`cluster_labels.py`; then this.
"""

import gzip
import io
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import ase.io
import cluster_labels
import numpy as np
from ase import Atoms
from dimer_draws import DIMERS, MONOMERS, symbols
from dimer_labels import DRAWN, LEVELS, load
from response import BOHR
from response_limits import DISTANCES, alone, polarizabilities, potential, rms, split, spread, structures
from water_pairs import PairKernel, distances, permutations

from ase_lode.parallel import available_threads

RESULTS = Path(__file__).parent / "results" / "dimer_levels.md"
DATA = Path(__file__).parents[2] / "md_examples" / "data"
#: Of the labels in bohr³.
DECIMALS = 5
#: The networks' density, and the head of those that are wider than the default.
DENSITY = {"cutoff": 5.5, "max_radial": 8}
WIDE_HEAD = {"channels": 48, "hidden": [96, 48]}


class Settings(NamedTuple):
    """A network: steps of the optimiser; if it learns chosen dimers, monomers; exponent of its field; if wide; seed.

    l = 2 is how molecules answer each other's induced dipoles. Sources of 1/r add up to the charge, nothing in a
    neutral molecule, whose own field falls off faster and turns with it; those of 1/r² are free. They fall off as 1/R⁴
    for the 1/R³ of dipoles, which the network makes up for as far as it has learned.
    """

    steps: int
    chosen: bool = True
    monomers: bool = True
    field: int | None = 2
    wide: bool = True
    seed: int = 0


#: The best, then what each part is worth with fewer steps.
NETWORKS = (Settings(40_000), Settings(5_000), Settings(5_000, chosen=False), Settings(5_000, monomers=False),
            Settings(5_000, field=None), Settings(5_000, field=1), Settings(5_000, wide=False))


def with_tensors(images, tensors):
    """Copies of the structures with other polarizabilities."""
    result = [atoms.copy() for atoms in images]
    for atoms, tensor in zip(result, tensors):
        atoms.info["alpha"] = tensor
    return result


def responses(calc, images):
    """Polarizabilities by a potential, (images, 3, 3) in Å³."""
    return np.array([calc.respond(atoms)["polarizability"] for atoms in images])


def reach(positions, others):
    """Median distance from structures to the nearest of others, in the lengths of `water_pairs.py`."""
    own, nearest = distances(positions), np.full(len(positions), np.inf)
    for order in permutations():
        images = distances(others[:, order])
        squares = (own**2).sum(axis=1)[:, None] + (images**2).sum(axis=1) - 2 * own @ images.T
        nearest = np.minimum(nearest, squares.min(axis=1))
    return np.median(np.sqrt(np.maximum(nearest, 0.0)))


def coverage(held, rest, new):
    """Lines: how near to positions held back come as many published and new ones."""
    lines = ["| nearest of | published | new |", "|---:|---:|---:|"]
    for count in (180, 360, 720, len(new) // 4, len(new)):
        near = f"{reach(held, rest[:count]):.3f}" if count <= len(rest) else ""
        lines.append(f"| {count:,} | {near} | {reach(held, new[:count]):.3f} |")
    return lines


def save(name, images, config_types):
    """Structures with nine components in bohr³ as in the published files, and with their class."""
    images = with_tensors(images, (polarizabilities(images) / BOHR**3).reshape(-1, 9).round(DECIMALS))
    for atoms, config_type in zip(images, config_types, strict=True):
        atoms.info["config_type"] = config_type
    text = io.StringIO()
    ase.io.write(text, images, format="extxyz")
    packed = gzip.compress(text.getvalue().encode(), mtime=0)  # the same bytes each time
    (DATA / f"{name}.extxyz.gz").write_bytes(packed)


def water(positions):
    return Atoms(symbols(positions), positions)


def taken(images, indices):
    return [images[k] for k in indices]


class Labelled:
    """Published dimers and new ones with their labels.

    Attributes
    ----------
    images, tensors, size
        All published dimers, their polarizabilities (images, 3, 3) in Å³ and the spread of these.
    held, validating, fitted : array of int
        Which of them judge, validate and are fitted.
    weights : array, shape (levels,)
    left, corrected : array, shape (images or held, 3, 3)
        What monomers and weighted levels leave over, and what is left of that beside the kernel.
    drawn, chosen, monomers : list of Atoms
    """

    def __init__(self):
        known, self.images = load(), structures(DIMERS, "alpha", BOHR**3, True)
        self.monomers = structures(MONOMERS, "alpha", BOHR**3, True)
        for name, images in (("published", self.images), ("monomers", self.monomers)):
            if len(known[name]) < len(images) or not np.isfinite(known[name]).all():
                raise SystemExit(f"labels of {name} are missing; run dimer_labels.py")
        self.tensors = polarizabilities(self.images)
        self.size = spread(self.tensors)
        self.held, self.rest = split(len(self.images))
        self.validating, self.fitted = np.split(self.rest, [len(self.held)])
        shapes = [water(one) for one in known["positions"]]
        tensors = self._estimated(self.images + shapes, known)[len(self.images):]
        new = with_tensors(shapes, BOHR**3 * np.round(tensors / BOHR**3, DECIMALS))  # just as the file has them
        usable = np.isfinite(tensors).all(axis=(1, 2))
        self.drawn, self.chosen = (taken(new, np.flatnonzero(usable & inside))
                                   for inside in (known["numbers"] < DRAWN, known["numbers"] >= DRAWN))

    def _estimated(self, images, known):
        """Coupled-cluster polarizabilities as far as cheap levels tell them; sets what published dimers leave of it."""
        n, fitted, validating = len(self.images), self.fitted, self.validating
        cheap = np.concatenate([known["published"], known["new"]]) * BOHR**3
        labels = [polarizabilities(self.monomers), *np.moveaxis(known["monomers"] * BOHR**3, 1, 0)]
        exact, *rest = (alone(images, with_tensors(self.monomers, one)).sum(axis=1) for one in labels)
        between = cheap - np.stack(rest, axis=1)
        columns = np.moveaxis(between[fitted], 1, -1).reshape(-1, len(LEVELS))
        self.weights = np.linalg.lstsq(columns, (self.tensors - exact[:n])[fitted].ravel())[0]
        result = exact + np.tensordot(self.weights, between, (0, 1))
        self.left = self.tensors - result[:n]
        positions = np.array([atoms.positions for atoms in images])
        remainder = PairKernel(positions[fitted], self.left[fitted], positions[validating], self.left[validating])
        result += remainder(positions)
        self.corrected = (self.tensors - result[:n])[self.held]
        return result

    def respond(self, networks, images):
        """Polarizabilities of structures by networks, each trained in a process of its own."""
        with ProcessPoolExecutor(available_threads(), get_context("spawn")) as pool:
            jobs = [pool.submit(trained_responses, one, self._fitted(one), taken(self.images, self.validating), images)
                    for one in networks]
            for job in as_completed(jobs):
                job.result()  # or what went wrong, before the others have ended
                print(f"trained: {networks[jobs.index(job)]}", file=sys.stderr, flush=True)
            return [job.result() for job in jobs]

    def _fitted(self, network):
        return (taken(self.images, self.fitted) + (self.monomers if network.monomers else []) + self.drawn
                + (self.chosen if network.chosen else []))


def trained_responses(network, fitted, validating, images):
    """Polarizabilities of structures by a network."""
    head = {"type": "network", "steps": network.steps, **(WIDE_HEAD if network.wide else {})}
    fields = [{"exponent": network.field, "min_angular": 2, "sources": "learned"}] if network.field else []
    calc = potential(fitted, validating, network.seed, density=DENSITY, fields=fields, head=head)
    return responses(calc, images)


def network_rows(errors, n_validating, percent):
    """Lines: errors of the networks on validating dimers, the first, and on those held back."""
    lines = ["| steps | chosen dimers | monomers | field | wide | validation, % | held back, % |",
             "|---:|---|---|---|---|---:|---:|"]
    for network, found in zip(NETWORKS, errors):
        chosen, monomers, wide = ("yes" if part else "no" for part in (network.chosen, network.monomers, network.wide))
        parts = chosen, monomers, f"1/r^{network.field}" if network.field else "no", wide
        both = percent(found[:n_validating]), percent(found[n_validating:])
        lines.append(f"| {network.steps:,} | {' | '.join(parts + both)} |")
    return lines


def distance_rows(judged, errors, percent):
    """Lines: errors of the first network by O-O distance."""
    apart = np.array([atoms.get_distance(0, 3) for atoms in judged])
    lines = ["| O-O, Å | dimers | % |", "|---|---:|---:|"]
    for low, high in zip(DISTANCES, DISTANCES[1:]):
        inside = (low <= apart) & (apart < high)
        lines.append(f"| {low}-{high} | {inside.sum()} | {percent(errors[inside])} |")
    return lines


def main():
    labelled, beyond, others = cluster_labels.load()
    if len(beyond) < len(labelled) or not np.isfinite(beyond[:, 0]).all():
        raise SystemExit("labels of clusters are missing; run cluster_labels.py")
    known = Labelled()
    save("water_dimers", known.drawn + known.chosen, ["drawn"] * len(known.drawn) + ["chosen"] * len(known.chosen))
    held, both = known.held, np.concatenate([known.validating, known.held])
    parts = [water(part) for one in labelled + others for part in cluster_labels.parts(one)]
    found = known.respond(NETWORKS, taken(known.images, both) + parts)
    clusters, factor, left = cluster_labels.totals(labelled, BOHR**3 * beyond, others, found[0][len(both):],
                                                   known.weights)
    save("water_clusters", with_tensors(map(water, labelled + others), clusters),
         ["labelled"] * len(labelled) + ["dipoles"] * len(others))
    errors = [tensors[:len(both)] - known.tensors[both] for tensors in found]

    def percent(errors):
        return f"{100 * rms(errors) / known.size:.2f}"

    named = " + ".join(f"{weight:.3f} {level}" for weight, level in zip(known.weights, LEVELS))
    places = np.array([atoms.positions for atoms in known.images])
    RESULTS.write_text("\n".join([
        "# Water dimers from several levels of theory", "", "Written by `python tests/benchmarks/dimer_levels.py`.", "",
        f"What two molecules do to each other, by coupled cluster ≈ {named}. "
        f"Percent of the spread of the polarizability, {known.size:.3f} Å³, "
        f"on {len(held)} dimers held back:", "", "| | % |", "|---|---:|",
        f"| left over by the molecules by themselves and this sum | {percent(known.left[held])} |",
        f"| the same, learned by a kernel from {len(known.fitted)} dimers | {percent(known.corrected)} |", "",
        f"Networks learn {len(known.fitted)} published dimers and {len(known.drawn):,} new ones; "
        f"{len(known.chosen):,} chosen ones (`dimer_choice.py`) and {len(known.monomers)} monomers where it says so. "
        "Their best steps are chosen on the validating dimers:", "",
        *network_rows(errors, len(known.validating), percent), "",
        "The first on those held back, by distance:", "",
        *distance_rows(taken(known.images, held), errors[0][len(known.validating):], percent), "",
        "Median distance from the dimers held back to the nearest of so many others as drawn, with the lengths of "
        "`water_pairs.py`:", "",
        *coverage(places[held], places[known.rest], np.array([atoms.positions for atoms in known.drawn])), "",
        f"What molecules do beyond pairs is {factor:.2f} times what Hartree-Fock has of it, as three of them show; of "
        f"this, damped dipoles leave {100 * left:.0f} % (`cluster_labels.py`)."])
        + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
