"""Energies linear in products of two expansion coefficients: a quadratic form for every centre, and its gradient."""

from ase_lode._loops.compile import loop


@loop
def quadratic_form(start, stop, coefficients, species, weights, energies, gradient):
    """energies[i] = Σ_l Σ_m x_q W^l_qq' x_q' and gradient = dE/dx, with x = coefficients[i, lm] and W symmetric.

    `weights` has the shape (species, l, q, q'); channels are contiguous and innermost.
    """
    channels = coefficients.shape[2]
    for i in range(start, stop):
        total = 0.0
        for l in range(weights.shape[1]):
            w = weights[species[i], l]
            for lm in range(l * l, (l + 1) * (l + 1)):
                for q in range(channels):
                    gradient[i, lm, q] = 0.0
            for q in range(channels):
                for lm in range(l * l, (l + 1) * (l + 1)):
                    x = 2.0 * coefficients[i, lm, q]
                    for r in range(channels):
                        gradient[i, lm, r] += x * w[q, r]
            for lm in range(l * l, (l + 1) * (l + 1)):
                for q in range(channels):
                    total += gradient[i, lm, q] * coefficients[i, lm, q]
        energies[i] = 0.5 * total


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
