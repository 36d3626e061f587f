"""NEP on the CPU by calorine: cutoffs 6 and 4 Å, l up to 4 and four-body terms, 30 neurons, random weights."""

import tempfile
from pathlib import Path

import numpy as np
from calorine.calculators import CPUNEP

HEADER = "nep4 2 O H\ncutoff 6 4 300 100\nn_max 4 4\nbasis_size 8 8\nl_max 4 2 0\nANN 30 0\n"
FEATURES, NEURONS = 30, 30  # 5 radial, 5 x 4 of three bodies, 5 of four
#: Read anew at the first evaluation, so it must last.
FOLDER = tempfile.TemporaryDirectory()
PARAMETERS = 2 * (FEATURES + 2) * NEURONS + 1 + 4 * (5 * 9 + 5 * 9)


def prepare(atoms):
    weights = 0.1 * np.random.default_rng(0).normal(size=PARAMETERS)
    path = Path(FOLDER.name) / "nep.txt"
    path.write_text(HEADER + "\n".join(map(str, [*weights, *np.ones(FEATURES)])) + "\n", encoding="utf-8")
    calc = CPUNEP(str(path))
    return lambda: calc.calculate(atoms, ["energy", "forces", "stress"], ["positions"])
