"""Analysis of trajectories: radial distributions, mean square displacements, vibrational densities of states."""

import numpy as np

from ase_lode.errors import ConfigError

#: Speed of light in cm/fs: turns frequencies in 1/fs into wavenumbers in 1/cm.
LIGHT = 2.99792458e-5


def radial_distribution(frames, r_max=6.0, bins=120, pairs=None):
    """Radial distribution functions g(r) of fully periodic frames.

    g_ab(r) = V/(N_a N_b) Σ_{i in a} Σ_{j in b} δ(r - r_ij) / 4πr², images included, averaged over frames.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames with the same elements.
    r_max : float
        Largest distance in Å; images are counted, so it may exceed half the cell.
    bins : int
        Number of bins.
    pairs : list of str, optional
        Element pairs as "O-H"; all by default.

    Returns
    -------
    r : array, shape (bins,)
        Bin centres in Å.
    curves : dict of str to array, shape (bins,)
        g(r) by pair.

    Raises
    ------
    ConfigError
        No frames, a cell that is not fully periodic, or a pair of elements that is not there.
    """
    from vesin import ase_neighbor_list

    if not frames or not all(frame.pbc.all() for frame in frames):
        raise ConfigError("A radial distribution function needs frames with a fully periodic cell.")
    if not (r_max > 0 and bins > 0):
        raise ConfigError("r_max and bins must be positive.")
    edges = np.linspace(0, r_max, bins + 1)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    pairs = _pairs(frames[0], pairs)
    curves = {pair: np.zeros(bins) for pair in pairs}
    for frame in frames:
        i, j, distance = ase_neighbor_list("ijd", frame, r_max)
        symbols = np.array(frame.get_chemical_symbols())
        for pair in pairs:
            first, second = pair.split("-")
            counts = np.histogram(distance[(symbols[i] == first) & (symbols[j] == second)], edges)[0]
            density = (symbols == first).sum() * (symbols == second).sum() / frame.get_volume()
            curves[pair] += counts / (shells * density * len(frames))
    return (edges[1:] + edges[:-1]) / 2, curves


def _pairs(frame, pairs):
    elements = sorted(set(frame.get_chemical_symbols()))
    if pairs is None:
        return [f"{first}-{second}" for n, first in enumerate(elements) for second in elements[n:]]
    for pair in pairs:
        if pair.count("-") != 1 or not set(pair.split("-")) <= set(elements):
            raise ConfigError(f"'{pair}' is no pair of the elements {', '.join(elements)}; write it as "
                              f"{elements[0]}-{elements[-1]}.")
    return list(pairs)


def frame_interval(frames, frame_fs=None):
    """Time between frames in fs: as given, or from the `time_ps` that `run_md` stores with every frame.

    Raises
    ------
    ConfigError
        Neither is there, or the frames are not evenly spaced.
    """
    if len(frames) < 2:
        raise ConfigError("At least two frames are needed; write the trajectory more often.")
    if frame_fs is not None:
        if frame_fs <= 0:
            raise ConfigError("The time between frames must be positive.")
        return frame_fs
    times = np.array([frame.info.get("time_ps", np.nan) for frame in frames], dtype=float)
    steps = np.diff(times)
    if not np.isfinite(times).all() or steps.min() <= 0 or np.ptp(steps) > 1e-6 * steps.mean():
        raise ConfigError("The frames do not say their times, or not evenly; give the time between frames "
                          "(--frame-fs).")
    return 1000 * float(steps.mean())


def mean_square_displacement(frames, frame_fs):
    """Mean square displacements by element, averaged over all time origins.

    ⟨|r(t0+t) - r(t0)|²⟩ through Fourier transforms (Calandrini et al., Collection SFN 12, 201, 2011). The drift of the
    centre of mass is removed. Positions must be unwrapped, as `run_md` writes them.

    Parameters
    ----------
    frames : list of ase.Atoms
        Evenly spaced frames.
    frame_fs : float
        Time between frames in fs.

    Returns
    -------
    time : array, shape (frames,)
        In ps.
    curves : dict of str to array, shape (frames,)
        Å², by element.
    """
    masses = frames[0].get_masses()
    positions = np.array([frame.positions - masses @ frame.positions / masses.sum() for frame in frames])  # [t, i, c]
    n = len(positions)
    squares = (positions**2).sum(axis=2)  # [t, i]
    ends = np.vstack([np.zeros((1, squares.shape[1])), np.cumsum(squares, axis=0)])
    # Sums of |r(t0)|² and |r(t0+t)|² over the n - t origins of each lag t.
    lags = np.arange(n)
    both = ends[n - lags] + ends[n] - ends[lags]
    displacements = both / (n - lags)[:, None] - 2 * _autocorrelation(positions).sum(axis=2)
    return lags * frame_fs / 1000, _by_element(frames[0], np.maximum(displacements, 0))


def vibrational_density(frames, frame_fs):
    """Vibrational densities of states by element: power spectra of the mass-weighted velocities.

    A Hann window over half of the correlation function limits noise; each curve's integral is its share of the degrees
    of freedom, so that the total integrates to one.

    Parameters
    ----------
    frames : list of ase.Atoms
        Evenly spaced frames with velocities; twice the time between frames bounds the shortest period seen.
    frame_fs : float
        Time between frames in fs.

    Returns
    -------
    wavenumber : array
        1/cm, up to the Nyquist limit.
    curves : dict of str to array
        cm, by element and `total`.

    Raises
    ------
    ConfigError
        The frames have no velocities, or are fewer than eight.
    """
    velocities = np.array([frame.get_velocities() for frame in frames])  # [t, i, c]
    if len(frames) < 8 or not velocities.any():
        raise ConfigError("A density of states needs at least eight frames with velocities; use a .traj of a run.")
    weighted = velocities * np.sqrt(frames[0].get_masses())[:, None]
    correlation = _autocorrelation(weighted).sum(axis=2)[: len(frames) // 2]  # [t, i]
    window = np.cos(0.5 * np.pi * np.arange(len(correlation)) / len(correlation)) ** 2
    even = np.concatenate([correlation * window[:, None], (correlation * window[:, None])[:0:-1]])
    spectrum = np.fft.rfft(even, axis=0).real
    wavenumber = np.fft.rfftfreq(len(even), frame_fs) / LIGHT
    norm = spectrum.sum() * (wavenumber[1] - wavenumber[0])
    curves = {element: values * np.sum(frames[0].symbols == element) / norm
              for element, values in _by_element(frames[0], spectrum).items()}
    return wavenumber, {"total": sum(curves.values()), **curves}


def _autocorrelation(series):
    """⟨x(t0) x(t0+t)⟩ over all origins, for every column; first axis time, zero-padded against wrapping."""
    n = len(series)
    transform = np.fft.rfft(series, 2 * n, axis=0)
    sums = np.fft.irfft(np.abs(transform) ** 2, 2 * n, axis=0)[:n]
    return sums / (n - np.arange(n)).reshape(-1, *[1] * (series.ndim - 1))


def _by_element(frame, values):
    """Averages of columns over the atoms of each element."""
    symbols = np.array(frame.get_chemical_symbols())
    return {str(element): values[:, symbols == element].mean(axis=1) for element in np.unique(symbols)}
