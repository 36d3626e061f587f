"""Invariants of up to three expansions of the same channel about a centre, and their adjoint."""

from ase_lode._loops.compile import LANES, load, loop, splat, store


@loop
def invariants(start, stop, channels, l_max, first, left, middle, right, factor, out):
    """out[i, f, k]: x_00; Σ_m x_lm² for l = 1..l_max; Σ_t g_t x_a x_b x_c over the terms of each triple of orders.

    Channels come in multiples of 16.
    """
    for i in range(start, stop):
        for k in range(0, channels.shape[2], LANES):
            store(out, (i, 0, k), load(channels, (i, 0, k)))
            for l in range(1, l_max + 1):
                square = splat(0.0)
                for lm in range(l * l, (l + 1) * (l + 1)):
                    x = load(channels, (i, lm, k))
                    square += x * x
                store(out, (i, l, k), square)
        for k in range(0, channels.shape[2], 2 * LANES):
            h = k + LANES
            for f in range(len(first) - 1):
                low, high = splat(0.0), splat(0.0)
                for t in range(first[f], first[f + 1]):
                    a, b, c, g = left[t], middle[t], right[t], splat(factor[t])
                    low += load(channels, (i, a, k)) * load(channels, (i, b, k)) * (load(channels, (i, c, k)) * g)
                    high += load(channels, (i, a, h)) * load(channels, (i, b, h)) * (load(channels, (i, c, h)) * g)
                store(out, (i, l_max + 1 + f, k), low)
                store(out, (i, l_max + 1 + f, h), high)


@loop
def pull_back(start, stop, channels, l_max, owner, component, first, left, right, factor, d_out, d_channels):
    """d_channels = dE/d(channels), given d_out = dE/d(out) of `invariants`; channels come in multiples of 16.

    The derivative of the triple owner[c] by x of component[c] is Σ_t g_t x_left x_right, t from first[c] on.
    """
    for i in range(start, stop):
        for k in range(0, channels.shape[2], LANES):
            store(d_channels, (i, 0, k), load(d_out, (i, 0, k)))
            for l in range(1, l_max + 1):
                d = load(d_out, (i, l, k)) * 2.0
                for lm in range(l * l, (l + 1) * (l + 1)):
                    store(d_channels, (i, lm, k), d * load(channels, (i, lm, k)))
        for k in range(0, channels.shape[2], 2 * LANES):
            h = k + LANES
            for c in range(len(owner)):
                low, high = splat(0.0), splat(0.0)
                for t in range(first[c], first[c + 1]):
                    a, b, g = left[t], right[t], splat(factor[t])
                    low += load(channels, (i, a, k)) * (load(channels, (i, b, k)) * g)
                    high += load(channels, (i, a, h)) * (load(channels, (i, b, h)) * g)
                a, f = component[c], l_max + 1 + owner[c]
                store(d_channels, (i, a, k), load(d_channels, (i, a, k)) + load(d_out, (i, f, k)) * low)
                store(d_channels, (i, a, h), load(d_channels, (i, a, h)) + load(d_out, (i, f, h)) * high)
