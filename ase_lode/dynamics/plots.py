"""Plots beside the data, as PNG; drawn from the CSV logs, so that a run keeps nothing in memory for them."""

import csv
import os
import time
from pathlib import Path

import numpy as np

from ase_lode.dynamics.page import write_page

#: A plot this many points wide shows every trend a screen can.
POINTS = 4000
#: Shortest time in seconds between two drawings.
EVERY = 30.0


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


def plot_log(path, log, panels, x, xlabel):
    """Draw columns of a log below each other.

    Parameters
    ----------
    path : path-like
        PNG file, replaced atomically so that a viewer never meets half a picture.
    log : path-like
        CSV log.
    panels : dict of str to list of str
        Columns by axis label; those the log lacks are left out.
    x, xlabel : str
        Column of the common axis and its label.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = read_log(log)
    panels = {label: present for label, names in panels.items() if (present := [n for n in names if n in columns])}
    figure = Figure(figsize=(7, 2.2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (label, names) in zip(np.ravel(figure.subplots(len(panels), sharex=True)), panels.items(), strict=True):
        for name in names:
            axes.plot(columns[x], columns[name], linewidth=1, label=name)
        axes.set_ylabel(label)
        if len(names) > 1:
            axes.legend(fontsize="small")
    axes.set_xlabel(xlabel)
    path = Path(path)
    temporary = path.with_name(f".{path.name}")
    figure.savefig(temporary, format="png", dpi=120)
    os.replace(temporary, path)


#: Columns of a log by axis label, and the column of the common axis with its label.
MD_PANELS = {"temperature (K)": ["temperature_K"], "energy (eV)": ["E_total_eV", "conserved_eV"],
             "potential energy (eV)": ["E_pot_eV"], "pressure (GPa)": ["pressure_GPa"],
             "tension (N/m)": ["tension_N_m"], "volume (Å³)": ["volume_A3"], "density (g/cm³)": ["density_g_cm3"],
             "uncertainty of the energy (eV)": ["energy_uncertainty_eV"]}
RELAX_PANELS = {"energy (eV)": ["energy_eV"], "largest force (eV/Å)": ["fmax_eV_A"], "volume (Å³)": ["volume_A3"]}
MD_AXIS, RELAX_AXIS = ("time_ps", "time (ps)"), ("step", "step")


class Pictures:
    """The plot (.png) and the page (.html) of a run, renewed on the way for at most a hundredth of its time.

    Parameters
    ----------
    path : path-like or None
        The plot; None draws nothing.
    log, trajectory : path-like
        What is drawn; the trajectory may be None.
    panels, axis : dict, tuple
        `MD_PANELS` and `MD_AXIS` or `RELAX_PANELS` and `RELAX_AXIS`.
    """

    def __init__(self, path, log, trajectory, panels, axis):
        self.path, self.log, self.trajectory, self.panels, self.axis = path, log, trajectory, panels, axis
        self.next = time.monotonic() + EVERY

    def due(self):
        """Whether it is time to draw again."""
        return self.path is not None and time.monotonic() > self.next

    def draw(self, atoms, note):
        """Draw what the files hold, and the atoms if there is no trajectory; `note` says how far the run is."""
        if self.path is None or not Path(self.log).exists():
            return
        began = time.monotonic()
        plot_log(self.path, self.log, self.panels, *self.axis)
        page = Path(self.path).with_suffix(".html")
        write_page(page, read_log(self.log), self.panels, self.axis, self.trajectory, atoms, note)
        now = time.monotonic()
        self.next = now + max(EVERY, 100 * (now - began))


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


def plot_ramachandran(path, torsions):
    """Draw ψ against φ, a colour for each residue.

    Parameters
    ----------
    path : path-like
        PNG file.
    torsions : dict of str to array, shape (frames,)
        Degrees, as "phi 1", "psi 1", ...
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name in torsions:
        if name.startswith("phi"):
            number = name.split()[1]
            axes.plot(torsions[name], torsions[f"psi {number}"], ".", markersize=4, label=f"residue {number}")
    axes.set(xlabel="φ (degrees)", ylabel="ψ (degrees)", xlim=(-180, 180), ylim=(-180, 180), aspect="equal",
             xticks=range(-180, 181, 60), yticks=range(-180, 181, 60))
    axes.grid(linewidth=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)
