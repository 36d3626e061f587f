"""Which further water dimers are worth a label: those on which two networks disagree most.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/dimer_choice.py`` draws CANDIDATES dimers beyond those that
`dimer_labels.py` labels as drawn, trains two networks on the latter (an hour on one core) and writes the numbers of
the dimers on which they disagree most to ``results/dimer_choice.npy``, for `dimer_labels.py` to label too.
"""

import numpy as np
from ase import Atoms
from dimer_draws import SYMBOLS
from dimer_labels import CHOSEN, DRAWN, draws
from dimer_levels import Labelled, Settings

#: Dimers to choose from, and how many are chosen.
CANDIDATES, COUNT = 40_000, 1_380
#: Of the two networks, which differ in nothing else.
STEPS = 20_000, 40_000


def main():
    known, drawn, numbers = Labelled(), draws(), np.arange(DRAWN, DRAWN + CANDIDATES)
    candidates = [Atoms(SYMBOLS, drawn.draw(number)) for number in numbers]
    networks = [Settings(steps, chosen=False, monomers=False, field=1) for steps in STEPS]
    first, second = known.respond(networks, candidates)
    disagreement = np.square(first - second).sum(axis=(1, 2))
    np.save(CHOSEN, numbers[np.argsort(-disagreement, kind="stable")[:COUNT]])


if __name__ == "__main__":
    main()
