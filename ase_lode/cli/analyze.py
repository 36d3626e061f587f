"""`ase-lode analyze`: curves of a trajectory as CSV, PNG and summary beside it."""

from typing import Annotated

import typer

from ase_lode.cli.command import HELP, Interval, Quiet, Summary, Trajectory, command, inline
from ase_lode.errors import ConfigError

analyze = typer.Typer(help="Analyse a trajectory.", **HELP)
Response = Annotated[str | None, typer.Option("-p", "--potential", help="Potential that gives dipole and "
                                              "polarizability, if the frames lack them.")]
Temperature = Annotated[float | None, typer.Option("-T", "--temperature", help="K; by default that of the run.")]


@command(analyze, "rdf")
def rdf(
    trajectory: Trajectory,
    r_max: Annotated[float, typer.Option(help="Largest distance in Å.")] = 6.0,
    bins: Annotated[int, typer.Option(help="Number of bins.")] = 120,
    pairs: Annotated[str | None, typer.Option(help="Pairs of elements, as O-O,O-H; all by default.")] = None,
    quiet: Quiet = False,
):
    """Radial distribution functions."""
    from ase_lode.dynamics.analysis import radial_distribution

    _analyze(trajectory, "rdf", ("r (Å)", "g(r)"), {"r_max": r_max, "bins": bins, "pairs": pairs}, quiet,
             lambda frames: radial_distribution(frames, r_max, bins, pairs.split(",") if pairs else None))


@command(analyze, "msd")
def msd(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Mean square displacements and diffusion coefficients per element, from unwrapped positions."""
    from ase_lode.dynamics.analysis import diffusion, frame_interval, mean_square_displacement

    def compute(frames):
        time, curves = mean_square_displacement(frames, frame_interval(frames, frame_fs))
        return time, curves, {"diffusion_cm2_s": diffusion(time, curves)}

    _analyze(trajectory, "msd", ("time (ps)", "MSD (Å²)"), {"frame_fs": frame_fs}, quiet, compute)


@command(analyze, "vdos")
def vdos(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Vibrational densities of states per element, from the velocities."""
    from ase_lode.dynamics.analysis import frame_interval, vibrational_density

    _analyze(trajectory, "vdos", ("wavenumber (1/cm)", "density of states (cm)"), {"frame_fs": frame_fs}, quiet,
             lambda frames: vibrational_density(frames, frame_interval(frames, frame_fs)))


@command(analyze, "profile")
def profile(
    trajectory: Trajectory,
    axis: Annotated[str, typer.Option(help="Direction: x, y or z, normal to the other two cell vectors.")] = "z",
    width: Annotated[float, typer.Option(help="Width of the bins in Å.")] = 0.1,
    quiet: Quiet = False,
):
    """Mass density along an axis, per element: liquids on slabs, films, membranes."""
    from ase_lode.dynamics.analysis import density_profile

    _analyze(trajectory, "profile", (f"{axis} (Å)", "density (g/cm³)"), {"axis": axis, "width": width}, quiet,
             lambda frames: density_profile(frames, axis, width))


@command(analyze, "bonds")
def bonds(trajectory: Trajectory, bins: Annotated[int, typer.Option(help="Number of bins.")] = 200,
          quiet: Quiet = False):
    """Distributions of the lengths of the first frame's covalent bonds."""
    from ase_lode.dynamics.analysis import bond_lengths

    _analyze(trajectory, "bonds", ("length (Å)", "density (1/Å)"), {"bins": bins}, quiet,
             lambda frames: bond_lengths(frames, bins))


@command(analyze, "angles")
def angles(trajectory: Trajectory, bins: Annotated[int, typer.Option(help="Number of bins.")] = 180,
           quiet: Quiet = False):
    """Distributions of the angles between the first frame's covalent bonds."""
    from ase_lode.dynamics.analysis import bond_angles

    _analyze(trajectory, "angles", ("angle (degrees)", "density (1/degree)"), {"bins": bins}, quiet,
             lambda frames: bond_angles(frames, bins))


@command(analyze, "rmsd")
def rmsd(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Root mean square deviation from the first frame after superposition."""
    from ase_lode.dynamics.analysis import deviations

    _against_time(trajectory, "rmsd", "RMSD (Å)", frame_fs, quiet, deviations)


@command(analyze, "rgyr")
def rgyr(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Radius of gyration about the centre of mass."""
    from ase_lode.dynamics.analysis import gyration_radii

    _against_time(trajectory, "rgyr", "radius of gyration (Å)", frame_fs, quiet,
                  lambda frames: {"all": gyration_radii(frames)})


@command(analyze, "ramachandran")
def ramachandran(trajectory: Trajectory, frame_fs: Interval = None, quiet: Quiet = False):
    """Backbone torsions of a peptide, phi and psi of every residue."""
    from ase_lode.dynamics.analysis import ramachandran as torsions
    from ase_lode.dynamics.plots import plot_ramachandran

    _against_time(trajectory, "ramachandran", "torsion (degrees)", frame_fs, quiet, torsions,
                  lambda path, x, curves, *labels: plot_ramachandran(path, curves))


@command(analyze, "ir")
def ir(
    trajectory: Trajectory,
    potential: Response = None,
    temperature_K: Temperature = None,
    frame_fs: Interval = None,
    quiet: Quiet = False,
):
    """Infrared spectrum from the dipoles along a run (.traj, .extxyz, or the log .csv)."""
    from ase_lode.dynamics.spectra import infrared

    def label(record):
        return "absorption (km/mol cm)" if record.volume is None else "n α (1/cm)"

    _spectrum(trajectory, "ir", potential, temperature_K, frame_fs, quiet, infrared, "absorption", label)


@command(analyze, "raman")
def raman(
    trajectory: Trajectory,
    potential: Response = None,
    laser_nm: Annotated[float | None, typer.Option("--laser-nm", help="Stokes intensities for this wavelength instead "
                                                                      "of activities.")] = None,
    temperature_K: Temperature = None,
    frame_fs: Interval = None,
    quiet: Quiet = False,
):
    """Isotropic and anisotropic Raman spectra from the polarizabilities along a run (.traj, .extxyz, or the log)."""
    from ase_lode.dynamics.spectra import raman as compute

    label = "activity (Å⁴/amu cm)" if laser_nm is None else "Stokes intensity"
    _spectrum(trajectory, "raman", potential, temperature_K, frame_fs, quiet,
              lambda record: compute(record, laser_nm), "total", lambda record: label, laser_nm=laser_nm)


def _spectrum(trajectory, kind, potential, temperature_K, frame_fs, quiet, compute, main, label, **settings):
    """A spectrum of a run, with the positions of its bands."""
    from ase.io import read

    from ase_lode.dynamics.spectra import METHOD, Record, bands

    summary = Summary(f"analyze {kind}")
    respond = None
    if potential is not None:
        if trajectory.suffix == ".csv":
            raise ConfigError(f"{trajectory} is a log without positions; give the run's trajectory with -p.")
        from ase_lode.calculator import LODECalculator

        respond = LODECalculator(potential).respond
    if trajectory.suffix == ".csv":
        record = Record.of_log(trajectory, frame_fs, temperature_K)
    else:
        record = Record.of_frames(read(trajectory, index=":"), frame_fs, temperature_K, respond)
    wavenumber, curves = compute(record)
    results = {**METHOD, "temperature_K": record.temperature_K, "frame_fs": record.frame_fs,
               "resolution_per_cm": round(2 * float(wavenumber[1]), 1),  # half-width of the Hann window's line
               "bands_per_cm": [round(band, 1) for band in bands(wavenumber, curves[main])]}
    settings = {"potential": potential, "temperature_K": temperature_K, "frame_fs": frame_fs, **settings}
    labels = "wavenumber (1/cm)", label(record)
    _write(summary, trajectory, kind, labels, settings, quiet, wavenumber, curves, results)


def _against_time(trajectory, kind, label, frame_fs, quiet, compute, draw=None):
    """Curves with one value for each frame."""
    import numpy as np

    from ase_lode.dynamics.analysis import frame_interval

    def curves(frames):
        values = compute(frames)
        means = {name: {"mean": float(array.mean()), "std": float(array.std())} for name, array in values.items()}
        return np.arange(len(frames)) * frame_interval(frames, frame_fs) / 1000, values, means

    _analyze(trajectory, kind, ("time (ps)", label), {"frame_fs": frame_fs}, quiet, curves, draw)


def _analyze(trajectory, kind, labels, settings, quiet, compute, draw=None):
    """Read frames, compute curves and what follows from them, write CSV, PNG and summary beside the trajectory."""
    from ase.io import read

    summary = Summary(f"analyze {kind}")
    x, curves, *results = compute(read(trajectory, index=":"))
    _write(summary, trajectory, kind, labels, settings, quiet, x, curves, dict(*results), draw)


def _write(summary, trajectory, kind, labels, settings, quiet, x, curves, results, draw=None):
    """Curves as CSV and PNG, and the summary, beside the trajectory."""
    import numpy as np

    from ase_lode.dynamics.plots import plot_curves

    out = trajectory.with_name(f"{trajectory.stem}_{kind}.csv")
    np.savetxt(out, np.column_stack([x, *curves.values()]), delimiter=",", comments="", fmt="%.10g",
               header=",".join([labels[0], *curves]), encoding="utf-8")
    (draw or plot_curves)(out.with_suffix(".png"), x, curves, *labels)
    summary.write(out, settings={"trajectory": str(trajectory), **settings}, results=results)
    if not quiet:
        for name, value in results.items():
            typer.echo(f"{name}: {inline(value) if isinstance(value, dict) else value}")
        typer.echo(f"{kind} in '{out}' and '{out.with_suffix('.png')}'")
