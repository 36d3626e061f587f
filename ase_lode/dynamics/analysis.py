"""Analysis of trajectories: distributions of distances, bonds, angles and heights, diffusion, vibrations, shapes."""

import numpy as np

from ase_lode.dynamics.bonds import Bonds, backbone_torsions
from ase_lode.errors import ConfigError

#: Speed of light in cm/fs: turns frequencies in 1/fs into wavenumbers in 1/cm.
LIGHT = 2.99792458e-5
#: One atomic mass unit per Å³ in g/cm³.
DENSITY = 1.66053906660


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
    elements, kinds = np.unique(frames[0].get_chemical_symbols(), return_inverse=True)
    count = len(elements)
    weights = np.zeros((count * count, bins))  # Σ over frames of counts times volume
    for frame in frames:
        i, j, distance = ase_neighbor_list("ijd", frame, r_max)
        inside = np.minimum((distance * (bins / r_max)).astype(int), bins - 1)
        codes = (kinds[i] * count + kinds[j]) * bins + inside
        weights += np.bincount(codes, minlength=count**2 * bins).reshape(-1, bins) * frame.get_volume()
    curves = {}
    for pair in pairs:
        first, second = (int(np.searchsorted(elements, element)) for element in pair.split("-"))
        possible = (kinds == first).sum() * (kinds == second).sum() * len(frames)
        curves[pair] = weights[first * count + second] / (shells * possible)
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
    return even_interval([frame.info.get("time_ps", np.nan) for frame in frames], frame_fs)


def even_interval(times_ps, frame_fs=None):
    """Time between frames in fs of their times in ps, see `frame_interval`."""
    if len(times_ps) < 2:
        raise ConfigError("At least two frames are needed; write the trajectory more often.")
    if frame_fs is not None:
        if frame_fs <= 0:
            raise ConfigError("The time between frames must be positive.")
        return frame_fs
    times = np.array(times_ps, dtype=float)
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
    displacements = both / (n - lags)[:, None] - 2 * autocorrelation(positions).sum(axis=2)
    return lags * frame_fs / 1000, _by_element(frames[0], np.maximum(displacements, 0))


def diffusion(time, curves, window=(0.1, 0.5)):
    """Self-diffusion coefficients, a sixth of the slope of the mean square displacements.

    Fitted between two shares of the time: after the ballistic start, before few origins are left. A periodic box slows
    diffusion by 2.837 kT/6πηL, Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004), which is not added.

    Parameters
    ----------
    time, curves : array, dict of str to array
        What `mean_square_displacement` returns, in ps and Å².
    window : tuple of two floats
        Shares of the time.

    Returns
    -------
    dict of str to float
        cm²/s, by element.
    """
    first, last = (int(share * len(time)) for share in window)
    if last - first < 2:
        raise ConfigError("Too few frames for a diffusion coefficient; write the trajectory more often or run longer.")
    # 1 Å²/ps is 1e-4 cm²/s.
    return {name: float(np.polyfit(time[first:last], values[first:last], 1)[0]) / 6 * 1e-4
            for name, values in curves.items()}


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
    correlation = autocorrelation(weighted).sum(axis=2)[: len(frames) // 2]  # [t, i]
    window = np.cos(0.5 * np.pi * np.arange(len(correlation)) / len(correlation)) ** 2
    even = np.concatenate([correlation * window[:, None], (correlation * window[:, None])[:0:-1]])
    spectrum = np.fft.rfft(even, axis=0).real
    wavenumber = np.fft.rfftfreq(len(even), frame_fs) / LIGHT
    norm = spectrum.sum() * (wavenumber[1] - wavenumber[0])
    curves = {element: values * np.sum(frames[0].symbols == element) / norm
              for element, values in _by_element(frames[0], spectrum).items()}
    return wavenumber, {"total": sum(curves.values()), **curves}


def density_profile(frames, axis="z", width=0.1):
    """Mass density along an axis, averaged over frames.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames with the other two directions periodic; the density refers to the area of their cell vectors.
    axis : {"x", "y", "z"}
        Height is measured along the normal of the second and third, third and first, or first and second cell vector.
    width : float
        Width of the bins in Å.

    Returns
    -------
    height : array, shape (bins,)
        Bin centres in Å; from zero to the cell's height where the axis is periodic, else from the lowest atom.
    curves : dict of str to array, shape (bins,)
        g/cm³, by element and `total`.

    Raises
    ------
    ConfigError
        The axis is unknown, or the plane is not periodic.
    """
    if axis not in ("x", "y", "z"):
        raise ConfigError(f"axis must be x, y or z, got {axis!r}.")
    k = "xyz".index(axis)
    plane = [(k + 1) % 3, (k + 2) % 3]
    if not all(frame.pbc[plane].all() for frame in frames) or width <= 0:
        raise ConfigError(f"A density profile along {axis} needs the other two directions periodic, a width above 0.")
    normals = [np.cross(*frame.cell.array[plane]) for frame in frames]
    areas = np.array([np.linalg.norm(normal) for normal in normals])
    heights = np.array([frame.positions @ normal / area for frame, normal, area in zip(frames, normals, areas)])
    if frames[0].pbc[k]:
        periods = np.array([frame.get_volume() for frame in frames]) / areas
        heights %= periods[:, None]
        low, high = 0.0, periods.max()
    else:
        low, high = heights.min(), heights.max() + 1e-9
    edges = low + width * np.arange(int(np.ceil((high - low) / width)) + 1)
    weights = frames[0].get_masses()[None, :] * DENSITY / (areas[:, None] * width * len(frames))
    curves = {}
    for element in sorted(set(frames[0].get_chemical_symbols())):
        chosen = np.array(frames[0].symbols == element)
        curves[element] = np.histogram(heights[:, chosen], edges, weights=weights[:, chosen])[0]
    return (edges[1:] + edges[:-1]) / 2, {"total": sum(curves.values()), **curves}


def bond_lengths(frames, bins=200):
    """Distributions of the lengths of the first frame's covalent bonds.

    Returns
    -------
    length : array, shape (bins,)
        Bin centres in Å.
    curves : dict of str to array, shape (bins,)
        1/Å, by elements as "C-H"; each integrates to one.
    """
    bonds = _bonds(frames)
    symbols = np.array(frames[0].get_chemical_symbols())
    names = np.array(["-".join(sorted(pair)) for pair in zip(symbols[bonds.first], symbols[bonds.second])])
    lengths = np.array([bonds.lengths(frame.positions, frame.cell.array) for frame in frames])
    return _histograms(lengths, names, (0.0, 1.05 * lengths.max()), bins)


def bond_angles(frames, bins=180):
    """Distributions of the angles between the first frame's covalent bonds.

    Returns
    -------
    angle : array, shape (bins,)
        Bin centres in degrees.
    curves : dict of str to array, shape (bins,)
        1/degree, by elements as "H-O-H"; each integrates to one.
    """
    bonds = _bonds(frames)
    symbols = frames[0].get_chemical_symbols()
    ends = [[] for _ in symbols]  # bonds of every atom, with the sign that makes them point away from it
    for n, (i, j) in enumerate(zip(bonds.first.tolist(), bonds.second.tolist())):
        ends[i].append((n, 1.0, symbols[j]))
        ends[j].append((n, -1.0, symbols[i]))
    corners = [(a, b, centre) for centre, around in enumerate(ends) for k, a in enumerate(around) for b in around[:k]]
    if not corners:
        raise ConfigError("No atom of the first frame has two covalent bonds; there are no angles.")
    names = np.array(["-".join((low, symbols[centre], high)) for a, b, centre in corners
                      for low, high in [sorted((a[2], b[2]))]])
    first, second = (np.array([corner[side][0] for corner in corners]) for side in (0, 1))
    sign = np.array([a[1] * b[1] for a, b, _ in corners])
    angles = []
    for frame in frames:
        arms = bonds.vectors(frame.positions, frame.cell.array)
        arms /= np.linalg.norm(arms, axis=1, keepdims=True)
        angles.append(np.degrees(np.arccos(np.clip(sign * (arms[first] * arms[second]).sum(axis=1), -1, 1))))
    return _histograms(np.array(angles), names, (0.0, 180.0), bins)


def _bonds(frames):
    bonds = Bonds.find(frames[0])
    if not len(bonds):
        raise ConfigError("The first frame has no covalent bonds; see the radial distribution function instead.")
    return bonds


def _histograms(values, names, bounds, bins):
    """Densities of the columns of `values` (frames, columns) by name."""
    edges = np.linspace(*bounds, bins + 1)
    curves = {str(name): np.histogram(values[:, names == name], edges, density=True)[0] for name in np.unique(names)}
    return (edges[1:] + edges[:-1]) / 2, curves


def deviations(frames):
    """Root mean square deviation from the first frame after superposition, Kabsch, Acta Cryst. A 32, 922 (1976).

    Returns
    -------
    dict of str to array, shape (frames,)
        Å, over all atoms and, where there are some, over those that are not hydrogen.
    """
    from scipy.spatial.transform import Rotation

    heavy = frames[0].numbers != 1
    groups = {"all": np.ones_like(heavy)} | ({"not H": heavy} if heavy.any() and not heavy.all() else {})
    curves = {}
    for name, chosen in groups.items():
        points = np.array([frame.positions[chosen] for frame in frames])
        points -= points.mean(axis=1, keepdims=True)
        if points.shape[1] < 3:
            continue
        best = [Rotation.align_vectors(points[0], moved)[1] for moved in points]
        curves[name] = np.array(best) / np.sqrt(points.shape[1])
    if not curves:
        raise ConfigError("A deviation after superposition needs at least three atoms.")
    return curves


def gyration_radii(frames):
    """Radii of gyration in Å, √(Σ m |r - R|² / Σ m) about the centre of mass; shape (frames,)."""
    masses = frames[0].get_masses()
    arms = np.array([frame.positions - masses @ frame.positions / masses.sum() for frame in frames])
    return np.sqrt(np.einsum("i,tic,tic->t", masses / masses.sum(), arms, arms))


def ramachandran(frames):
    """Backbone torsions φ and ψ of a peptide; its residues are found by the first frame's bonds.

    Returns
    -------
    dict of str to array, shape (frames,)
        Degrees in (-180, 180], as "phi 1", "psi 1", "phi 2", ...

    Raises
    ------
    ConfigError
        There is no residue between two peptide groups.
    """
    torsions = backbone_torsions(frames[0])
    if not torsions:
        raise ConfigError("No residue lies between two peptide groups; a Ramachandran plot needs a peptide with its "
                          "hydrogens and whole molecules.")
    positions = np.array([frame.positions for frame in frames])
    return {f"{name} {number}": _torsion(positions[:, atoms]) for number, pair in enumerate(torsions, 1)
            for name, atoms in zip(("phi", "psi"), pair)}


def _torsion(points):
    """Torsions in degrees of four points each, shape (frames, 4, 3)."""
    a, b, c = np.moveaxis(np.diff(points, axis=1), 1, 0)
    left, right = np.cross(a, b), np.cross(b, c)
    sine = np.linalg.norm(b, axis=1) * (a * right).sum(axis=1)
    return np.degrees(np.arctan2(sine, (left * right).sum(axis=1)))


def autocorrelation(series):
    """⟨x(t0) x(t0+t)⟩ over all origins, for every column; first axis time, zero-padded against wrapping."""
    n = len(series)
    transform = np.fft.rfft(series, 2 * n, axis=0)
    sums = np.fft.irfft(np.abs(transform) ** 2, 2 * n, axis=0)[:n]
    return sums / (n - np.arange(n)).reshape(-1, *[1] * (series.ndim - 1))


def _by_element(frame, values):
    """Averages of columns over the atoms of each element."""
    symbols = np.array(frame.get_chemical_symbols())
    return {str(element): values[:, symbols == element].mean(axis=1) for element in np.unique(symbols)}
