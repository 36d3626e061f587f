"""Candidate pairs of a neighbour list with skin, compacted to those inside the cutoff at the present positions."""

from ase_lode._loops.compile import loop


@loop
def count_pairs(start, stop, first, j, shifts, positions, cell, cutoff, counts):
    """counts[i]: candidates of centre i that are inside the cutoff now."""
    limit = cutoff * cutoff
    for i in range(start, stop):
        inside = 0
        for p in range(first[i], first[i + 1]):
            square = 0.0
            for c in range(3):
                d = positions[j[p], c] - positions[i, c]
                d += shifts[p, 0] * cell[0, c] + shifts[p, 1] * cell[1, c] + shifts[p, 2] * cell[2, c]
                square += d * d
            if square < limit:
                inside += 1
        counts[i] = inside


@loop
def fill_pairs(start, stop, first, j, shifts, positions, cell, cutoff, out_first, out_i, out_j, vectors, distances):
    """Write the pairs that `count_pairs` counted, in the candidates' order."""
    limit = cutoff * cutoff
    d = [0.0, 0.0, 0.0]
    for i in range(start, stop):
        q = out_first[i]
        for p in range(first[i], first[i + 1]):
            square = 0.0
            for c in range(3):
                x = positions[j[p], c] - positions[i, c]
                x += shifts[p, 0] * cell[0, c] + shifts[p, 1] * cell[1, c] + shifts[p, 2] * cell[2, c]
                d[c] = x
                square += x * x
            if square < limit:
                out_i[q] = i
                out_j[q] = j[p]
                for c in range(3):
                    vectors[q, c] = d[c]
                distances[q] = max(square**0.5, 1e-6)  # coincident atoms: large, finite energies
                q += 1


@loop
def add_pair_gradient(start, stop, i, j, vectors, pair_gradient, gradient, virial):
    """Scatter dE/dr_ij of every pair on its atoms, and add Σ r ⊗ dE/dr; for one thread only."""
    for p in range(start, stop):
        for c in range(3):
            g = pair_gradient[p, c]
            gradient[j[p], c] += g
            gradient[i[p], c] -= g
            for b in range(3):
                virial[b, c] += vectors[p, b] * g


@loop
def sum_neighbors(start, stop, j, values, out):
    """out[j of p] += values[p] for every pair; for one thread only."""
    for p in range(start, stop):
        for s in range(out.shape[1]):
            out[j[p], s] += values[p, s]
