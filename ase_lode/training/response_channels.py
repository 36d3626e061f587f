"""Which channels and products a response model is made of: principal components of what the training data show."""

import numpy as np

from ase_lode.features.equivariants import ORDERS, Equivariants
from ase_lode.radial import LANES

#: Channels kept of every field and l.
FIELD_CHANNELS = 4
#: Fields weaker than this, in e/Å^(p+l) or 1/Å^(p+l), are not scaled up: they may be zero in all of the training data.
WEAKEST_FIELD = 1e-3
#: Centres whose products are looked at to choose them.
SAMPLE = 400


def choose_channels(environments, layout, n_elements, n_channels):
    """Combinations of coefficients by centre element and l that keep most of their variance.

    First the constant and the fields, each scaled to unit variance over all of its l, then the density's principal
    components, scaled alike.

    Parameters
    ----------
    environments : iterable of Environments
    layout : Layout
    n_elements : int
    n_channels : int
        Of the density.

    Returns
    -------
    turn : array, shape (elements, l_max + 1, width, channels)
    first_density : int
        Where the density's channels begin; before them stand the constant and the fields.
    """
    squares = np.zeros((n_elements, layout.max_angular + 1, layout.width, layout.width))
    counts = np.zeros(n_elements)
    for one in environments:
        counts += np.bincount(one.species, minlength=n_elements)
        for s in np.unique(one.species):
            block = one.coefficients[one.species == s]
            for l in range(layout.max_angular + 1):
                rows = block[:, l * l : (l + 1) ** 2].reshape(-1, layout.width)
                squares[s, l] += rows.T @ rows
    squares /= np.maximum(counts, 1)[:, None, None, None]
    kept = [min(len(scale.channels), FIELD_CHANNELS) for scale in layout.scales[1:]]
    first_density = -(-(1 + sum(kept)) // LANES) * LANES
    turn = np.zeros((*squares.shape[:3], first_density + n_channels))
    turn[:, 0, layout.constant, 0] = 1.0
    places = [(first_density, n_channels), *zip(1 + np.cumsum([0, *kept[:-1]]), kept)]
    for number, (scale, (start, count)) in enumerate(zip(layout.scales, places)):
        here = np.ix_(range(n_elements), scale.degrees, scale.channels, scale.channels)
        size = np.sqrt(np.einsum("slqq->s", squares[here]))
        if number > 0:
            size = np.maximum(size, WEAKEST_FIELD)
        for s in np.flatnonzero(size > 0):
            for l in scale.degrees:
                vectors = np.linalg.eigh(squares[s, l][np.ix_(scale.channels, scale.channels)])[1][:, ::-1]
                n = min(count, len(scale.channels))
                turn[s, l, scale.channels, start : start + n] = vectors[:, :n] / size[s]
    return turn, first_density


def choose_groups(channels, order, n_features, n_field_features, first_density):
    """Products of largest variance: some of the density, those linear in a channel, and some of the fields.

    Parameters
    ----------
    channels : array, shape (atoms, lm, channels)
        Of a sample of centres.
    order : str
    n_features, n_field_features : int
        Features of the density, and of all fields.
    first_density : int

    Returns
    -------
    array of int, shape (groups, 4)
        See `Equivariants`.
    """
    l_max, width = int(np.sqrt(channels.shape[1])) - 1, channels.shape[2]
    candidates = np.array([(a, p, b, q) for a in range(l_max + 1) for b in range(a, l_max + 1)
                           if ORDERS[order].couples(a, b) for p in range(width) for q in range(0, width, LANES)
                           if a < b or p <= q + LANES - 1])
    if len(candidates) == 0:
        return np.zeros((0, 4), dtype=np.int64)
    variance = np.concatenate([
        np.mean(Equivariants(ORDERS[order], part).compute(channels).reshape(len(channels), -1, len(part), LANES) ** 2,
                axis=(0, 1, 3)) for part in np.array_split(candidates, -(-len(candidates) // 32))])
    linear = candidates[:, 1] == 0
    density = ~linear & (candidates[:, 1] >= first_density) & (candidates[:, 3] >= first_density)
    field = ~linear & ~density
    chosen = [np.flatnonzero(linear & (variance > 0))]
    for kind, count in ((density, n_features // LANES), (field, n_field_features // LANES)):
        best = np.flatnonzero(kind & (variance > 0))
        chosen.append(best[np.argsort(-variance[best], kind="stable")][:count])
    return candidates[np.sort(np.concatenate(chosen))]


def of_density(groups, first_density):
    """Which features of these groups are made of the density alone: 1 or 0 for each."""
    left, right = groups[:, 1], groups[:, 3]
    return np.repeat(((left == 0) | (left >= first_density)) & (right >= first_density), LANES).astype(float)


def choose_scalars(rows, n_elements, n_scalars):
    """Means of the invariants and their principal components by centre element, of total variance 1.

    Parameters
    ----------
    rows : iterable of (array of int, shape (atoms,); array, shape (atoms, features))
        Species and features of order 0 of each structure.

    Returns
    -------
    mean : array, shape (elements, features)
    scalars : array, shape (elements, features, scalars)
    """
    total = square = None
    counts = np.zeros(n_elements)
    for kinds, features in rows:
        if total is None:
            total = np.zeros((n_elements, features.shape[1]))
            square = np.zeros((n_elements, features.shape[1], features.shape[1]))
        counts += np.bincount(kinds, minlength=n_elements)
        for s in np.unique(kinds):
            part = features[kinds == s]
            total[s] += part.sum(axis=0)
            square[s] += part.T @ part
    counts = np.maximum(counts, 1)[:, None]
    mean = total / counts
    scalars = np.zeros((*mean.shape, n_scalars))
    for s in range(n_elements):
        covariance = square[s] / counts[s] - np.outer(mean[s], mean[s])
        values, vectors = np.linalg.eigh(covariance)
        size = np.trace(covariance)
        n = min(n_scalars, int((values > 1e-12 * max(size, 1e-300)).sum()))
        if n:
            scalars[s, :, :n] = vectors[:, ::-1][:, :n] / np.sqrt(size)
    return mean, scalars
