"""Which further water dimers are worth a label: those on which two networks disagree most.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/dimer_choice.py`` trains two networks, which differ in their seeds alone,
on all dimers labelled so far (half an hour on two cores), draws CANDIDATES further ones and adds the numbers of those
on which the networks disagree most to ``results/dimer_choice.npy``, for `dimer_labels.py` to label too. Each run is a
round with candidates of its own; two were made. The networks of the first had a field of 1/r, no monomers, one seed
and 20,000 and 40,000 steps.
"""

import numpy as np
from dimer_labels import CHOSEN, DRAWN, draws, load
from dimer_levels import Labelled, Settings, water

#: Dimers to choose from in a round, and how many are chosen.
CANDIDATES, COUNT = 40_000, 1_380
#: Of the two networks.
STEPS, SEEDS = 20_000, (1, 2)


def main():
    chosen = np.load(CHOSEN) if CHOSEN.is_file() else np.zeros(0, int)
    if not np.isin(chosen, load()["numbers"]).all():
        raise SystemExit("dimers chosen before have no labels yet; run dimer_labels.py")
    known, drawn, rounds = Labelled(), draws(), (max(chosen, default=DRAWN - CANDIDATES) - DRAWN) // CANDIDATES + 1
    numbers = DRAWN + CANDIDATES * rounds + np.arange(CANDIDATES)
    candidates = [water(drawn.draw(number)) for number in numbers]
    first, second = known.respond([Settings(STEPS, seed=seed) for seed in SEEDS], candidates)
    disagreement = np.square(first - second).sum(axis=(1, 2))
    np.save(CHOSEN, np.concatenate([chosen, numbers[np.argsort(-disagreement, kind="stable")[:COUNT]]]))


if __name__ == "__main__":
    main()
