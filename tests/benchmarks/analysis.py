"""Time of every analysis of a long trajectory, reading it included.

``python tests/benchmarks/analysis.py [--frames 10000]`` writes frames of 64 water molecules that vibrate and diffuse,
as `run_md` stores them, reads them again and analyses them; processor seconds, so that other work on the machine counts
for little.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import Trajectory

from ase_lode.dynamics import analysis

WATER = Path(__file__).parents[2] / "md_examples" / "water_nvt" / "water64.xyz"
#: Processor seconds for all of it.
MOST = 60.0
FRAME_FS = 2.0


def write(path, count):
    """Molecules on random walks of liquid water's diffusion, their atoms in harmonic motion."""
    rng = np.random.default_rng(0)
    atoms = ase.io.read(WATER)
    start, molecules = atoms.positions.copy(), len(atoms) // 3
    frequencies = 2 * np.pi * rng.uniform(0.02, 0.1, start.shape)  # 1/fs
    phases, walk = rng.uniform(0, 2 * np.pi, start.shape), np.zeros((molecules, 3))
    with Trajectory(path, "w") as file:
        for n in range(count):
            time_fs = FRAME_FS * n
            walk += rng.normal(scale=np.sqrt(2 * 2.3e-4 * FRAME_FS), size=walk.shape)  # 2.3e-5 cm²/s
            atoms.positions = start + 0.05 * np.sin(frequencies * time_fs + phases) + np.repeat(walk, 3, axis=0)
            atoms.set_velocities(0.05 * frequencies * np.cos(frequencies * time_fs + phases) / 10)
            atoms.info = {"step": 4 * n, "time_ps": time_fs / 1000}
            atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros_like(start))
            file.write(atoms)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    options = parser.parse_args()
    whole = 0.0

    def timed(name, function, *arguments):
        nonlocal whole
        began = time.process_time()
        result = function(*arguments)
        seconds = time.process_time() - began
        whole += seconds
        print(f"{name:30s} {seconds:7.2f} s", flush=True)
        return result

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "md.traj"
        write(path, options.frames)
        frames = timed("reading", ase.io.read, path, ":")
    timed("radial distributions", analysis.radial_distribution, frames)
    lags, curves = timed("mean square displacements", analysis.mean_square_displacement, frames, FRAME_FS)
    timed("diffusion", analysis.diffusion, lags, curves)
    for name, function, *arguments in (
            ("density of vibrations", analysis.vibrational_density, FRAME_FS), ("profile", analysis.density_profile),
            ("bonds", analysis.bond_lengths), ("angles", analysis.bond_angles), ("deviations", analysis.deviations),
            ("radii of gyration", analysis.gyration_radii)):
        timed(name, function, frames, *arguments)
    print(f"all of {options.frames} frames of {len(frames[0])} atoms: {whole:.1f} s")
    sys.exit(whole > MOST)


if __name__ == "__main__":
    main()
