"""Polarizabilities of water dimers from few coupled-cluster labels and many cheap ones.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/dimer_levels.py`` writes ``results/dimer_levels.md``. The cheap levels of
`dimer_labels.py`, weighted to suit the coupled-cluster labels, leave a remainder that a ridge of responses learns from
these; both together label the new dimers, which a network learns with the published ones. A tenth of the published
dimers, that of `response_limits.py`, is held back from all of it, with the new ones that were made of them.
"""

from pathlib import Path

import numpy as np
from ase import Atoms
from dimer_labels import LEVELS, SYMBOLS, between, labelled, published
from response import BOHR
from response_limits import WIDE, polarizabilities, potential, rms, spread, structures
from water_pairs import distances, permutations

RESULTS = Path(__file__).parent / "results" / "dimer_levels.md"
#: The ridge that learns the remainder: wide and coarse, the best of `response_limits.py`.
REMAINDER = {"density": {"cutoff": WIDE, "max_angular": 2}}
NETWORK = {"density": {"cutoff": 5.5, "max_radial": 8}, "head": {"type": "network"}}


def weights(levels, tensors):
    """Of the levels, and a multiple of the unit matrix, that suit the tensors best."""
    return np.linalg.lstsq(_columns(levels), tensors.ravel())[0]


def combined(levels, found):
    """The levels weighted."""
    return (_columns(levels) @ found).reshape(-1, 3, 3)


def _columns(levels):
    unit = np.broadcast_to(np.eye(3), (len(levels), 1, 3, 3))
    return np.concatenate([levels, unit], axis=1).transpose(0, 2, 3, 1).reshape(-1, levels.shape[1] + 1)


def with_tensors(images, tensors):
    """Copies of the structures with other polarizabilities."""
    result = [atoms.copy() for atoms in images]
    for atoms, tensor in zip(result, tensors):
        atoms.info["alpha"] = tensor
    return result


def taught(positions, more, remainder):
    """New dimers with the levels weighted and the remainder as a potential has it."""
    new = [Atoms(SYMBOLS, one) for one in positions]
    return with_tensors(new, [tensor + remainder.respond(atoms)["polarizability"]
                              for atoms, tensor in zip(new, more)])


def reach(positions, others):
    """Median distance from structures to the nearest of others, in the lengths of `water_pairs.py`."""
    own, nearest = distances(positions), np.full(len(positions), np.inf)
    for order in permutations():
        images = distances(others[:, order])
        squares = (own**2).sum(axis=1)[:, None] + (images**2).sum(axis=1) - 2 * own @ images.T
        nearest = np.minimum(nearest, squares.min(axis=1))
    return np.median(np.sqrt(np.maximum(nearest, 0.0)))


def coverage(held, rest):
    """Lines: how near to the held dimers come published ones, and new ones, labelled or not."""
    positions = published()
    new, parents = between(positions)
    new = new[~np.isin(parents, held).any(axis=1)]
    counts = [len(rest) // 8, len(rest) // 4, len(rest) // 2, len(rest)]
    found = [reach(positions[held], positions[rest[:count]]) for count in counts]
    slope, start = np.polyfit(np.log(counts), np.log(found), 1)
    lines = ["| nearest of | median distance | published ones that come as near |", "|---|---:|---:|",
             *(f"| {count} published | {value:.3f} | |" for count, value in zip(counts, found))]
    for count in (2000, 5000, len(new)):
        value = reach(positions[held], new[:count])
        alike = float(f"{np.exp((np.log(value) - start) / slope):.2g}")
        lines.append(f"| {count:,} new | {value:.3f} | {alike:,.0f} |")
    return lines


def main():
    images = structures("dielectric/water_dimer_train.xyz", "alpha", BOHR**3, True)
    tensors, size = polarizabilities(images), spread(polarizabilities(images))
    positions, parents, more, levels = labelled()
    levels, more = levels * BOHR**3, more * BOHR**3
    held, rest = np.split(np.random.default_rng(0).permutation(len(images)), [len(images) // 10])
    positions, more = (part[~np.isin(parents, held).any(axis=1)] for part in (positions, more))
    found = weights(levels[rest], tensors[rest])
    left = tensors - combined(levels, found)
    parts = [[images[k] for k in part] for part in (rest, held)]
    remainder = potential(*(with_tensors(part, left[k]) for part, k in zip(parts, (rest, held))), **REMAINDER)
    images = parts[0] + taught(positions, combined(more, found), remainder)
    network = potential(images, parts[1], **NETWORK)

    def errors(calc, labels):
        return 100 * rms(np.array([calc.respond(atoms)["polarizability"] for atoms in parts[1]]) - labels[held]) / size

    named = " + ".join(f"{weight:.3f} {level}" for weight, level in zip(found, LEVELS))
    RESULTS.write_text("\n".join([
        "# Water dimers from several levels of theory", "", "Written by `python tests/benchmarks/dimer_levels.py`.", "",
        f"Coupled cluster ≈ {named} + {found[-1]:.3f} Å³. Percent of the spread of the polarizability, {size:.3f} Å³, "
        f"on {len(held)} dimers held back:", "", "| | % |", "|---|---:|",
        f"| left over by the sum of levels | {100 * rms(left[held]) / size:.2f} |",
        f"| the same, learned by a ridge from {len(rest)} dimers | {errors(remainder, left):.2f} |",
        f"| network, these and {len(positions):,} new dimers | {errors(network, tensors):.2f} |", "",
        "New dimers lie between published ones and fill the space of two molecules more slowly than those do. "
        "Distances from the dimers held back, with the lengths of `water_pairs.py`:", "",
        *coverage(held, rest)]) + "\n",
        encoding="utf-8")


if __name__ == "__main__":
    main()
