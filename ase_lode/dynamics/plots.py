"""Plots beside the data, as PNG; drawn from the CSV logs, so that a run keeps nothing in memory for them."""

import csv
import os
from pathlib import Path

import numpy as np

#: A plot this many points wide shows every trend a screen can.
POINTS = 4000


def read_log(path):
    """Columns of a CSV log by name, thinned to at most `POINTS` rows or a few more."""
    with open(path, encoding="utf-8") as file:
        names = next(csv.reader(file))
        rows = sum(1 for _ in file)
    stride = max(1, rows // POINTS)
    with open(path, encoding="utf-8") as file:
        next(file)
        table = [line.split(",") for number, line in enumerate(file) if number % stride == 0]
    values = np.array([row for row in table if len(row) == len(names)], dtype=float).reshape(-1, len(names))
    return {name: values[:, column] for column, name in enumerate(names)}


def plot_log(path, log, panels, x):
    """Draw columns of a log below each other.

    Parameters
    ----------
    path : path-like
        PNG file, replaced atomically so that a viewer never meets half a picture.
    log : path-like
        CSV log.
    panels : list of list of str
        Columns of each panel; those the log lacks are left out.
    x : str
        Column of the common axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = read_log(log)
    panels = [present for names in panels if (present := [name for name in names if name in columns])]
    figure = Figure(figsize=(7, 2.2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, names in zip(np.ravel(figure.subplots(len(panels), sharex=True)), panels, strict=True):
        for name in names:
            axes.plot(columns[x], columns[name], linewidth=1, label=_words(name))
        axes.set_ylabel(_words(names[0]) if len(names) == 1 else _words(names[0]).split(" ", 1)[1])
        if len(names) > 1:
            axes.legend(fontsize="small")
        if names == ["fmax_eV_A"]:
            axes.set_yscale("log")
        axes.ticklabel_format(axis="x", useOffset=False)
    axes.set_xlabel(_words(x))
    path = Path(path)
    temporary = path.with_name(f".{path.name}")
    figure.savefig(temporary, format="png", dpi=120)
    os.replace(temporary, path)


def plot_md(path, log):
    """Temperature, energies and, where they change, pressure and volume against time."""
    plot_log(path, log, [["temperature_K"], ["E_total_eV", "conserved_eV"], ["E_pot_eV"], ["pressure_GPa"],
                         ["volume_A3"]], "time_ps")


def plot_relax(path, log):
    """Energy and largest force against the step."""
    plot_log(path, log, [["energy_eV"], ["fmax_eV_A"], ["volume_A3"]], "step")


def plot_curves(path, x, curves, xlabel, ylabel):
    """Draw curves over one axis.

    Parameters
    ----------
    path : path-like
        PNG file.
    x : array, shape (points,)
        Common axis.
    curves : dict of str to array, shape (points,)
        Values by legend text.
    xlabel, ylabel : str
        Axis labels.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, values in curves.items():
        axes.plot(x, values, linewidth=1.2, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def _words(column):
    """Axis label of a column: its name, then its unit in brackets."""
    units = {"K": "K", "eV": "eV", "GPa": "GPa", "A3": "Å³", "ps": "ps", "eV_A": "eV/Å"}
    for suffix, unit in sorted(units.items(), key=lambda item: -len(item[0])):
        if column.endswith(f"_{suffix}"):
            return f"{column[: -len(suffix) - 1].replace('_', ' ')} ({unit})"
    return column.replace("_", " ")
