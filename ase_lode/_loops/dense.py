"""Matrix products of many rows with one matrix per class of row, 8 rows and 8 columns at a time, and the adjoint.

Rows of one class are taken in groups of 8, 4 at a time; a short group repeats its last row. Within 4 rows the repeated
one is written twice with the same numbers; 4 rows that would only repeat are left out, or they would add twice.
"""

from ase_lode._loops.compile import LANES, inlined, load, loop, splat, store


@inlined
def _start(out, r, k, fresh):
    """What the products are added to."""
    return splat(0.0) if fresh else load(out, (r, k))


@inlined
def _wide(r0, r1, r2, r3, c, k, x, weights, fresh, out):
    """16 columns of 4 rows: as many sums as hide the latency of the multiply-add, as few rows as keep their places."""
    a0, b0 = _start(out, r0, k, fresh), _start(out, r0, k + LANES, fresh)
    a1, b1 = _start(out, r1, k, fresh), _start(out, r1, k + LANES, fresh)
    a2, b2 = _start(out, r2, k, fresh), _start(out, r2, k + LANES, fresh)
    a3, b3 = _start(out, r3, k, fresh), _start(out, r3, k + LANES, fresh)
    for q in range(weights.shape[1]):
        v, w = load(weights, (c, q, k)), load(weights, (c, q, k + LANES))
        x0, x1, x2, x3 = splat(x[r0, q]), splat(x[r1, q]), splat(x[r2, q]), splat(x[r3, q])
        a0 += v * x0
        b0 += w * x0
        a1 += v * x1
        b1 += w * x1
        a2 += v * x2
        b2 += w * x2
        a3 += v * x3
        b3 += w * x3
    store(out, (r0, k), a0)
    store(out, (r0, k + LANES), b0)
    store(out, (r1, k), a1)
    store(out, (r1, k + LANES), b1)
    store(out, (r2, k), a2)
    store(out, (r2, k + LANES), b2)
    store(out, (r3, k), a3)
    store(out, (r3, k + LANES), b3)


@inlined
def _narrow(r0, r1, r2, r3, c, k, x, weights, fresh, out):
    """The last 8 columns of 4 rows."""
    a0, a1 = _start(out, r0, k, fresh), _start(out, r1, k, fresh)
    a2, a3 = _start(out, r2, k, fresh), _start(out, r3, k, fresh)
    for q in range(weights.shape[1]):
        w = load(weights, (c, q, k))
        a0 += w * x[r0, q]
        a1 += w * x[r1, q]
        a2 += w * x[r2, q]
        a3 += w * x[r3, q]
    store(out, (r0, k), a0)
    store(out, (r1, k), a1)
    store(out, (r2, k), a2)
    store(out, (r3, k), a3)


@loop
def multiply(start, stop, rows, classes, x, weights, fresh, out):
    """out[r, k] = Σ_q x[r, q] weights[class of r, q, k], or += unless `fresh`; columns come in multiples of 8."""
    wide = weights.shape[2] - weights.shape[2] % (2 * LANES)
    for g in range(start, stop):
        c = classes[g]
        for b in range(0, LANES, 4):
            r0, r1, r2, r3 = rows[g, b], rows[g, b + 1], rows[g, b + 2], rows[g, b + 3]
            if b > 0 and r0 == rows[g, b - 1]:
                break  # all that follows repeats the last row
            for k in range(0, wide, 2 * LANES):
                _wide(r0, r1, r2, r3, c, k, x, weights, fresh, out)
            for k in range(wide, weights.shape[2], LANES):
                _narrow(r0, r1, r2, r3, c, k, x, weights, fresh, out)


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
