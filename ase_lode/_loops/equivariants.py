"""Products of two expansions of a centre that turn as a tensor of one order, and their adjoint.

A group of features is one left channel times 8 consecutive right channels. Block b of orders (l, l') has the terms
``first[b, m]:first[b, m + 1]`` of component m: flat indices lm of the left and of the right factor, and a coefficient.
"""

import numpy as np

from ase_lode._loops.compile import LANES, load, loop, splat, store, total


@loop
def products(start, stop, channels, block, left, right, first, lm_left, lm_right, coefficient, out):
    """out[i, m, 8g + n] = Σ_t C_t x[lm_left, left_g] x[lm_right, right_g + n] for every group g."""
    for i in range(start, stop):
        for g in range(len(block)):
            b, p, q = block[g], left[g], right[g]
            for m in range(out.shape[1]):
                value = splat(0.0)
                for t in range(first[b, m], first[b, m + 1]):
                    value += load(channels, (i, lm_right[t], q)) * (channels[i, lm_left[t], p] * coefficient[t])
                store(out, (i, m, LANES * g), value)


@loop
def pull_back(start, stop, channels, block, left, right, first, lm_left, lm_right, coefficient, d_out, d_channels):
    """Add dE/d(channels) to `d_channels`, given d_out = dE/d(out) of `products`."""
    side = np.zeros((channels.shape[1], LANES))
    for i in range(start, stop):
        for g in range(len(block)):
            b, p, q = block[g], left[g], right[g]
            for m in range(d_out.shape[1]):
                d = load(d_out, (i, m, LANES * g))
                for t in range(first[b, m], first[b, m + 1]):
                    a, c = lm_left[t], lm_right[t]
                    store(side, (a, 0), load(side, (a, 0)) + load(channels, (i, c, q)) * d * coefficient[t])
                    change = d * (channels[i, a, p] * coefficient[t])
                    store(d_channels, (i, c, q), load(d_channels, (i, c, q)) + change)
            for t in range(first[b, 0], first[b, d_out.shape[1]]):
                a = lm_left[t]
                d_channels[i, a, p] += total(load(side, (a, 0)))
                store(side, (a, 0), splat(0.0))
