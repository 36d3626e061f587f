"""Wall time and peak memory of the training of the dipeptides, from the shipped recipe, in a scratch folder.

``ASE_LODE_DATA=FOLDER python tests/benchmarks/training.py``, on an idle machine.
"""

import os
import resource
import tempfile
import time
from pathlib import Path

import yaml

from ase_lode import train

RECIPE = Path(__file__).parents[2] / "potentials" / "dipeptides" / "train.yaml"


def main():
    config = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        config["output"]["directory"] = folder
        start = time.perf_counter()
        _, report = train(config, data_folder=os.environ["ASE_LODE_DATA"])
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{report['parameters']} parameters, {report['atoms']} atoms: {seconds:.0f} s, "
          f"{peak:.1f} GiB; validation {report['errors']['validation']}")


if __name__ == "__main__":
    main()
