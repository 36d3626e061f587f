"""One self-contained HTML page of a run: its curves and its trajectory in three dimensions; opens without a network."""

import base64
import html
import json
import os
from pathlib import Path

import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

from ase_lode.dynamics.bonds import NONMETALS, Bonds

#: Most points of a curve, frames, and atoms in all frames together (12 bytes each) on a page.
POINTS, FRAMES, ATOMS = 2000, 400, 300_000
TEMPLATE = Path(__file__).with_name("page.html")


def write_page(path, columns, panels, axis, trajectory, atoms, note):
    """Write the page, atomically.

    Parameters
    ----------
    path : path-like
        HTML file.
    columns : dict of str to array
        Columns of the log.
    panels : dict of str to list of str
        Columns by axis label; those the log lacks are left out.
    axis : tuple of str
        Column of the common axis and its label.
    trajectory : path-like or None
        Frames with `step` or `time_ps` in their info.
    atoms : ase.Atoms
        Shown when there are no frames.
    note : str
        How far the run is.
    """
    path = Path(path)
    name, label = axis
    frames = read_frames(trajectory, len(atoms)) or [_stamped(atoms, name, columns[name])]
    thin = slice(None, None, max(1, len(columns[name]) // POINTS))
    nonmetals = NONMETALS[atoms.numbers]
    present = {text: [n for n in names if n in columns] for text, names in panels.items()}
    data = {
        "note": f"{atoms.get_chemical_formula()}, {len(atoms)} atoms; {note}", "xlabel": label,
        "x": _numbers(columns[name][thin]),
        "panels": [{"label": text, "curves": [{"name": n, "values": _numbers(columns[n][thin])} for n in names]}
                   for text, names in present.items() if names],
        "times": [float(frame.info[name]) for frame in frames], "periodic": bool(atoms.pbc.any()),
        # Beside nonmetals, metals are cations, or a surface whose own bonds would hide what lies on it.
        "unbound": (nonmetals.any() & ~nonmetals).tolist(),
        "radii": np.round(covalent_radii[atoms.numbers], 2).tolist(),
        "colours": ["#" + "".join(f"{round(255 * c):02x}" for c in jmol_colors[number]) for number in atoms.numbers],
        "positions": _base64(gathered(frames)),
        "cells": _base64([frame.cell.array for frame in frames])}
    text = TEMPLATE.read_text(encoding="utf-8").replace("__TITLE__", html.escape(path.stem))
    # "<" could end the script that holds the data.
    text = text.replace("__DATA__", json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def read_frames(trajectory, count):
    """Evenly chosen frames of a trajectory, the last included; few enough for a page of `count` atoms a frame."""
    from ase.io import iread
    from ase.io.trajectory import Trajectory

    if trajectory is None or not Path(trajectory).exists() or Path(trajectory).stat().st_size == 0:
        return []
    most = max(2, min(FRAMES, ATOMS // max(count, 1)))
    if Path(trajectory).suffix == ".traj":
        with Trajectory(trajectory) as file:
            return [file[int(n)] for n in _chosen(len(file), most)]
    total = sum(1 for _ in iread(trajectory, ":"))
    wanted = set(_chosen(total, most).tolist())
    return [frame for n, frame in enumerate(iread(trajectory, ":")) if n in wanted]


def gathered(frames):
    """Positions (frames, atoms, 3) with every molecule whole and its centre in the cell, along periodic directions.

    Molecules are those of the first frame. Single atoms and networks stay where they are: a crystal's would only hop
    from face to face.
    """
    positions, cells = np.array([frame.positions for frame in frames]), np.array([frame.cell.array for frame in frames])
    pbc, bonds = frames[0].pbc, Bonds.find(frames[0])
    if not pbc.any() or not len(bonds):
        return positions
    molecule, images, whole = _molecules(bonds, len(frames[0]))
    positions[:, whole] += images[whole] @ cells
    sizes = np.bincount(molecule)
    for frame, cell in zip(positions, cells):
        centres = np.stack([np.bincount(molecule, frame[:, c]) for c in range(3)], axis=1) / sizes[:, None]
        away = np.floor(np.linalg.solve((cell + np.diag(~cell.any(axis=1) * 1.0)).T, centres.T).T) * pbc
        frame[whole] -= (away @ cell)[molecule[whole]]
    return positions


def _molecules(bonds, count):
    """Number of each atom's molecule, cell vectors that make it whole, and whether it is one of several atoms."""
    near = [[] for _ in range(count)]
    for i, j, shift in zip(bonds.first.tolist(), bonds.second.tolist(), bonds.shifts):
        near[i].append((j, shift))
        near[j].append((i, -shift))
    molecule, images, whole = np.full(count, -1), np.zeros((count, 3)), np.zeros(count, dtype=bool)
    for start in range(count):
        if molecule[start] >= 0:
            continue
        members, finite = [start], True
        molecule[start] = start
        for atom in members:  # grows on the way
            for other, shift in near[atom]:
                if molecule[other] < 0:
                    molecule[other], images[other] = start, images[atom] + shift
                    members.append(other)
                finite &= bool((images[other] == images[atom] + shift).all())
        whole[members] = finite and len(members) > 1
    return np.unique(molecule, return_inverse=True)[1], images, whole


def _chosen(total, most):
    return np.unique(np.linspace(0, total - 1, min(total, most)).round().astype(int))


def _stamped(atoms, name, values):
    frame = atoms.copy()
    frame.info = {name: values[-1] if len(values) else 0.0}
    return frame


def _numbers(values):
    """Short numbers for JSON, which has no NaN."""
    return [float(f"{value:.10g}") if np.isfinite(value) else None for value in values]


def _base64(arrays):
    return base64.b64encode(np.asarray(arrays, dtype="<f4").tobytes()).decode()
