"""Invariants of up to three expansions of the same channel about a centre, and their adjoint."""

from ase_lode._loops.compile import LANES, load, loop, splat, store


@loop
def invariants(start, stop, channels, l_max, first, left, middle, right, factor, out):
    """out[i, f, k]: x_00; Σ_m x_lm² for l = 1..l_max; Σ_t g_t x_a x_b x_c over the terms of each triple of orders."""
    for i in range(start, stop):
        for k in range(0, channels.shape[2], LANES):
            store(out, (i, 0, k), load(channels, (i, 0, k)))
            for l in range(1, l_max + 1):
                square = splat(0.0)
                for lm in range(l * l, (l + 1) * (l + 1)):
                    x = load(channels, (i, lm, k))
                    square += x * x
                store(out, (i, l, k), square)
            for f in range(len(first) - 1):
                cube = splat(0.0)
                for t in range(first[f], first[f + 1]):
                    cube += (load(channels, (i, left[t], k)) * load(channels, (i, middle[t], k))
                             * (load(channels, (i, right[t], k)) * factor[t]))
                store(out, (i, l_max + 1 + f, k), cube)


@loop
def pull_back(start, stop, channels, l_max, first, left, middle, right, factor, d_out, d_channels):
    """d_channels = dE/d(channels), given d_out = dE/d(out) of `invariants`."""
    for i in range(start, stop):
        for k in range(0, channels.shape[2], LANES):
            store(d_channels, (i, 0, k), load(d_out, (i, 0, k)))
            for l in range(1, l_max + 1):
                d = load(d_out, (i, l, k)) * 2.0
                for lm in range(l * l, (l + 1) * (l + 1)):
                    store(d_channels, (i, lm, k), d * load(channels, (i, lm, k)))
            for f in range(len(first) - 1):
                d = load(d_out, (i, l_max + 1 + f, k))
                for t in range(first[f], first[f + 1]):
                    a, b, c = left[t], middle[t], right[t]
                    x, y, z = load(channels, (i, a, k)), load(channels, (i, b, k)), load(channels, (i, c, k))
                    g = d * factor[t]
                    gx = g * x
                    store(d_channels, (i, a, k), load(d_channels, (i, a, k)) + g * y * z)
                    store(d_channels, (i, b, k), load(d_channels, (i, b, k)) + gx * z)
                    store(d_channels, (i, c, k), load(d_channels, (i, c, k)) + gx * y)
