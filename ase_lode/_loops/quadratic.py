"""Energies linear in products of two expansion coefficients: a quadratic form for every centre, and its gradient."""

from ase_lode._loops.compile import LANES, load, loop, splat, store, total


@loop
def quadratic_form(start, stop, coefficients, species, weights, energies, gradient):
    """energies[i] = Σ_l Σ_m x_q W^l_qq' x_q' and gradient = dE/dx, with x = coefficients[i, lm] and W symmetric.

    `weights` has the shape (species, l, q, q'); the number of channels is a multiple of 8. Four partial sums hide the
    latency of the multiply-add.
    """
    channels = coefficients.shape[2]
    for i in range(start, stop):
        energy = splat(0.0)
        s = species[i]
        for l in range(weights.shape[1]):
            for lm in range(l * l, (l + 1) * (l + 1)):
                for r in range(0, channels, LANES):
                    a, b, c, d = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
                    for q in range(0, channels, 4):
                        a += load(weights, (s, l, q, r)) * coefficients[i, lm, q]
                        b += load(weights, (s, l, q + 1, r)) * coefficients[i, lm, q + 1]
                        c += load(weights, (s, l, q + 2, r)) * coefficients[i, lm, q + 2]
                        d += load(weights, (s, l, q + 3, r)) * coefficients[i, lm, q + 3]
                    half = (a + b) + (c + d)
                    energy += half * load(coefficients, (i, lm, r))
                    store(gradient, (i, lm, r), half * 2.0)
        energies[i] = total(energy)


@loop
def products(start, stop, coefficients, feature_l, feature_q, feature_r, factor, out):
    """out[i, f] = factor_f Σ_m x_qlm x_rlm for the feature f = (l, q, r) of every centre."""
    for i in range(start, stop):
        for f in range(len(feature_l)):
            total = 0.0
            l = feature_l[f]
            for lm in range(l * l, (l + 1) * (l + 1)):
                total += coefficients[i, lm, feature_q[f]] * coefficients[i, lm, feature_r[f]]
            out[i, f] = factor[f] * total


@loop
def product_rows(start, stop, i, j, vectors, blocks, coefficients, centre_species, neighbor_species, lanes, n_radial,
                 feature_index, factor, n_features, derivative, gradient, virial):
    """Add the derivatives of all summed products through the density of each pair; for one thread only.

    derivative[p, c, lm, n] is d(R_nl Y_lm)/d(r_j - r_i); feature_index[l, q, r] the column of a product, or -1;
    `blocks` the number of channels in use; gradient has the shape (atoms, 3, species x features), virial
    (3, 3, species x features).
    """
    change = derivative[0, 0, 0, 0] * 0.0
    for p in range(start, stop):
        column = centre_species[i[p]] * n_features
        offset = neighbor_species[j[p]] * lanes
        for l in range(feature_index.shape[0]):
            for n in range(n_radial):
                q = offset + n
                for r in range(blocks):
                    f = feature_index[l, q, r]
                    if f < 0:
                        continue
                    scale = factor[f]
                    if q == r:
                        scale *= 2.0
                    for c in range(3):
                        change = 0.0
                        for lm in range(l * l, (l + 1) * (l + 1)):
                            change += derivative[p, c, lm, n] * coefficients[i[p], lm, r]
                        change *= scale
                        gradient[j[p], c, column + f] += change
                        gradient[i[p], c, column + f] -= change
                        for b in range(3):
                            virial[b, c, column + f] += vectors[p, b] * change
