"""Why two polarizabilities miss their aim: more structures help the water dimers, and no structures the oxide.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/response_limits.py`` writes ``results/response_limits.md``: errors of the
unchanged recipe on a tenth of each set, fitted to a quarter, half and all of the rest. Quartz is trigonal, so its mean
polarizability has xx = yy and nothing off the diagonal: what the labels' mean has besides comes from how the cell was
computed, and no model that turns with the atoms can follow it. The oxide is fitted as labelled and without that part.
"""

import os
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from response import BOHR, CUTOFF

from ase_lode import train
from ase_lode.hypers import TARGET_UNITS

RESULTS = Path(__file__).parent / "results" / "response_limits.md"
SHARES = (0.25, 0.5, 1.0)
#: Frames of a trajectory that count as one in the standard error of its mean.
BLOCK = 15
OXIDE_UNIT = TARGET_UNITS["polarizability"]["e^2*angstrom^2/eV"]


def structures(name, key, factor, isolated):
    """Structures with nothing but their polarizability in Å³."""
    result = ase.io.read(Path(os.environ["ASE_LODE_DATA"]) / name, ":")
    for atoms in result:
        tensor = factor * np.reshape(atoms.info[key], (3, 3))
        atoms.calc, atoms.info = None, {"alpha": tensor}
        if isolated:
            atoms.pbc, atoms.cell[:] = False, 0.0
    return result


def without(images, part):
    """Copies of the structures with a tensor taken off their polarizabilities."""
    result = [atoms.copy() for atoms in images]
    for atoms in result:
        atoms.info["alpha"] = atoms.info["alpha"] - part
    return result


def forbidden(tensors):
    """What a mean has that a trigonal crystal with its axis along z forbids, and its standard error by blocks."""
    def part(tensor):
        tensor = (tensor + tensor.T) / 2
        in_plane = (tensor[0, 0] + tensor[1, 1]) / 2
        return tensor - np.diag([in_plane, in_plane, tensor[2, 2]])

    parts = np.array([part(tensor) for tensor in tensors])
    blocks = parts.reshape(-1, BLOCK, 3, 3).mean(axis=1)
    return parts.mean(axis=0), blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))


def errors(images):
    """Percent of the spread on a tenth of the structures, by the number of fitted ones."""
    order = np.random.default_rng(0).permutation(len(images))
    held, rest = np.split(order, [len(images) // 10])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        ase.io.write(folder / "held.xyz", [images[k] for k in held])
        result = {}
        for share in SHARES:
            part = rest[: round(share * len(rest))]
            ase.io.write(folder / "train.xyz", [images[k] for k in part])
            _, report = train({
                "schema": 1, "model": {"density": {"cutoff": CUTOFF}},
                "data": {"train": {"file": str(folder / "train.xyz"), "energy": None, "forces": None},
                         "validation": {"file": str(folder / "held.xyz")}},
                "targets": {"polarizability": {"key": "alpha"}},
                "output": {"name": "response", "directory": str(folder), "report": "none"}}, quiet=True)
            result[len(part)] = report["errors"]["validation"]["polarizability"]["percent_of_spread"]
    return result


def row(name, found):
    return f"| {name} | {' | '.join(f'{count}: {value:.1f}' for count, value in found.items())} |"


def main():
    oxide = structures("solids/SiO2_train.xyz", "polarizability", OXIDE_UNIT, False)
    tensors = np.array([atoms.info["alpha"] for atoms in oxide])
    spread = np.sqrt(np.mean((tensors - tensors.mean(axis=0)) ** 2))
    part, deviation = forbidden(tensors)
    share = 100 * np.sqrt(np.mean(part**2)) / spread
    dimers = structures("dielectric/water_dimer_train.xyz", "alpha", BOHR**3, True)
    off_diagonal = [0, 0, 1], [1, 2, 2]
    lines = ["# Polarizabilities that miss their aim", "",
             "Written by `python tests/benchmarks/response_limits.py`.", "",
             f"Quartz: the labels' mean has (xx - yy)/2 = {part[0, 0]:.3f} ± {deviation[0, 0]:.3f} Å³, and off the "
             f"diagonal at most {np.abs(part[off_diagonal]).max():.3f} ± {deviation[off_diagonal].max():.3f} Å³. "
             f"Symmetry forbids both; together they are {share:.0f} % of the spread, {spread:.3f} Å³, which a model "
             "that turns with the atoms cannot reach.", "",
             "Percent of the spread by number of fitted structures:", "", "| set | quarter | half | all |",
             "|---|---|---|---|"]
    for name, images in (("water dimers", dimers), ("quartz as labelled", oxide),
                         ("quartz without the forbidden part", without(oxide, part))):
        lines.append(row(name, errors(images)))
        print(lines[-1], file=sys.stderr)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
