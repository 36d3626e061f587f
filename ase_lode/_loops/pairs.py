"""Candidate pairs of a neighbour list with skin, compacted to those inside the cutoff at the present positions."""

from ase_lode._loops.compile import inlined, loop


@inlined
def _vector(p, i, j, shifts, positions, cell):
    """r_j - r_i of a candidate."""
    a, b, c = shifts[p, 0], shifts[p, 1], shifts[p, 2]
    x = positions[j[p], 0] - positions[i, 0] + (a * cell[0, 0] + b * cell[1, 0] + c * cell[2, 0])
    y = positions[j[p], 1] - positions[i, 1] + (a * cell[0, 1] + b * cell[1, 1] + c * cell[2, 1])
    z = positions[j[p], 2] - positions[i, 2] + (a * cell[0, 2] + b * cell[1, 2] + c * cell[2, 2])
    return x, y, z


@loop
def count_pairs(start, stop, first, j, shifts, positions, cell, cutoff, counts):
    """counts[i]: candidates of centre i that are inside the cutoff now."""
    limit = cutoff * cutoff
    for i in range(start, stop):
        inside = 0
        for p in range(first[i], first[i + 1]):
            x, y, z = _vector(p, i, j, shifts, positions, cell)
            if x * x + y * y + z * z < limit:
                inside += 1
        counts[i] = inside


@loop
def fill_pairs(start, stop, first, j, shifts, positions, cell, cutoff, out_first, out_i, out_j, vectors, distances):
    """Write the pairs that `count_pairs` counted, in the candidates' order."""
    limit = cutoff * cutoff
    for i in range(start, stop):
        q = out_first[i]
        for p in range(first[i], first[i + 1]):
            x, y, z = _vector(p, i, j, shifts, positions, cell)
            square = x * x + y * y + z * z
            if square < limit:
                out_i[q] = i
                out_j[q] = j[p]
                vectors[q, 0], vectors[q, 1], vectors[q, 2] = x, y, z
                distances[q] = max(square**0.5, 1e-6)  # coincident atoms: large, finite energies
                q += 1


@loop
def add_pair_gradient(start, stop, i, j, vectors, pair_gradient, gradient, virial):
    """Scatter dE/dr_ij of every pair on its atoms, and add Σ r ⊗ dE/dr; for one thread only.

    The pairs of a centre follow each other, so its sum and the virial stay in registers.
    """
    xx, xy, xz, yx, yy, yz, zx, zy, zz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    p = start
    while p < stop:
        centre, x, y, z = i[p], 0.0, 0.0, 0.0
        while p < stop and i[p] == centre:
            gx, gy, gz = pair_gradient[p, 0], pair_gradient[p, 1], pair_gradient[p, 2]
            neighbor = j[p]
            gradient[neighbor, 0] += gx
            gradient[neighbor, 1] += gy
            gradient[neighbor, 2] += gz
            x, y, z = x + gx, y + gy, z + gz
            rx, ry, rz = vectors[p, 0], vectors[p, 1], vectors[p, 2]
            xx, xy, xz = xx + rx * gx, xy + rx * gy, xz + rx * gz
            yx, yy, yz = yx + ry * gx, yy + ry * gy, yz + ry * gz
            zx, zy, zz = zx + rz * gx, zy + rz * gy, zz + rz * gz
            p += 1
        gradient[centre, 0] -= x
        gradient[centre, 1] -= y
        gradient[centre, 2] -= z
    for row, values in enumerate(((xx, xy, xz), (yx, yy, yz), (zx, zy, zz))):
        for c in range(3):
            virial[row, c] += values[c]


@loop
def sum_neighbors(start, stop, j, values, out):
    """out[j of p] += values[p] for every pair; for one thread only."""
    for p in range(start, stop):
        for s in range(out.shape[1]):
            out[j[p], s] += values[p, s]
