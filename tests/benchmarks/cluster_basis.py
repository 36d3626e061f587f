"""What the basis does to the part beyond pairs of `cluster_labels.py`.

``python tests/benchmarks/cluster_basis.py`` labels the first clusters of three molecules in two bases, their parts with
their own basis functions or with those of all, and writes ``results/cluster_basis.md`` (two minutes).
"""

from pathlib import Path

import cluster_labels
import numpy as np
from dimer_labels import HartreeFock, one_thread
from response import BOHR

RESULTS = Path(__file__).parent / "results" / "cluster_basis.md"
BASES, COUNT, SIZE = ("aug-cc-pvdz", "d-aug-cc-pvdz"), 4, 3


def beyond_pairs(positions, basis, functions_of_all):
    """By Hartree-Fock, (3, 3) in Å³."""
    def polarizability(present):
        if functions_of_all:
            return HartreeFock(positions, basis, present).polarizability
        molecules = positions.reshape(-1, 3, 3)[list(present)]
        return HartreeFock(molecules.reshape(-1, 3), basis).polarizability

    parts = np.array([polarizability(present) for present in cluster_labels.pieces(SIZE)])
    return BOHR**3 * (polarizability(range(SIZE)) - cluster_labels.up_to_pairs(parts, SIZE))


def main():
    one_thread()
    trimers = [one for one in cluster_labels.load()[0] if len(one) == 3 * SIZE][:COUNT]
    found = {(basis, functions): np.array([beyond_pairs(one, basis, functions) for one in trimers])
             for basis in BASES for functions in (True, False)}
    best = found[BASES[-1], True]
    lines = ["# Three molecules beyond pairs, by basis", "",
             "Written by `python tests/benchmarks/cluster_basis.py`.", "",
             f"Root mean square of the components over {COUNT} clusters, Å³; error against the larger "
             "basis with the functions of all.", "", "| basis | functions | part | error |", "|---|---|---:|---:|"]
    for (basis, functions), tensors in found.items():
        sizes = (np.sqrt(np.mean(one**2)) for one in (tensors, tensors - best))
        lines.append(f"| {basis} | {'of all' if functions else 'own'} | {' | '.join(f'{x:.4f}' for x in sizes)} |")
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
