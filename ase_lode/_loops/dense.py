"""Matrix products of many rows with one matrix per class of row, 8 rows and 8 columns at a time, and the adjoint.

Rows of one class are taken in groups of 8; a short group repeats its last row, which then is written twice with the
same numbers.
"""

from ase_lode._loops.compile import LANES, load, loop, splat, store


@loop
def multiply(start, stop, rows, classes, x, weights, out):
    """out[r, k] += Σ_q x[r, q] weights[class of r, q, k]; the number of columns is a multiple of 8."""
    for g in range(start, stop):
        c = classes[g]
        r0, r1, r2, r3 = rows[g, 0], rows[g, 1], rows[g, 2], rows[g, 3]
        r4, r5, r6, r7 = rows[g, 4], rows[g, 5], rows[g, 6], rows[g, 7]
        for k in range(0, weights.shape[2], LANES):
            a0, a1, a2, a3 = load(out, (r0, k)), load(out, (r1, k)), load(out, (r2, k)), load(out, (r3, k))
            a4, a5, a6, a7 = load(out, (r4, k)), load(out, (r5, k)), load(out, (r6, k)), load(out, (r7, k))
            for q in range(weights.shape[1]):
                w = load(weights, (c, q, k))
                a0 += w * x[r0, q]
                a1 += w * x[r1, q]
                a2 += w * x[r2, q]
                a3 += w * x[r3, q]
                a4 += w * x[r4, q]
                a5 += w * x[r5, q]
                a6 += w * x[r6, q]
                a7 += w * x[r7, q]
            store(out, (r0, k), a0)
            store(out, (r1, k), a1)
            store(out, (r2, k), a2)
            store(out, (r3, k), a3)
            store(out, (r4, k), a4)
            store(out, (r5, k), a5)
            store(out, (r6, k), a6)
            store(out, (r7, k), a7)


@loop
def add_outer(start, stop, rows, counts, classes, x, d_out, d_weights):
    """d_weights[class of r, q, k] += Σ_r x[r, q] d_out[r, k]; for one thread only."""
    for g in range(start, stop):
        c = classes[g]
        r0, r1, r2, r3 = rows[g, 0], rows[g, 1], rows[g, 2], rows[g, 3]
        r4, r5, r6, r7 = rows[g, 4], rows[g, 5], rows[g, 6], rows[g, 7]
        n = counts[g]
        for k in range(0, d_weights.shape[2], LANES):
            zero = splat(0.0)
            d0 = load(d_out, (r0, k))
            d1 = load(d_out, (r1, k)) if n > 1 else zero
            d2 = load(d_out, (r2, k)) if n > 2 else zero
            d3 = load(d_out, (r3, k)) if n > 3 else zero
            d4 = load(d_out, (r4, k)) if n > 4 else zero
            d5 = load(d_out, (r5, k)) if n > 5 else zero
            d6 = load(d_out, (r6, k)) if n > 6 else zero
            d7 = load(d_out, (r7, k)) if n > 7 else zero
            for q in range(d_weights.shape[1]):
                left = d0 * x[r0, q] + d1 * x[r1, q] + d2 * x[r2, q] + d3 * x[r3, q]
                right = d4 * x[r4, q] + d5 * x[r5, q] + d6 * x[r6, q] + d7 * x[r7, q]
                store(d_weights, (c, q, k), load(d_weights, (c, q, k)) + (left + right))
