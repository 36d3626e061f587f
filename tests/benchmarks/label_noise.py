"""What of the errors on liquid water is noise of the labels: the errors of frames that nearly repeat each other.

    python tests/benchmarks/label_noise.py [--data FOLDER]

Some frames are a few hundredths of an Å apart. What a smooth potential misses changes over the lengths on which bonds
and hydrogen bonds do; an error that is another one after 0.05 Å is none of it. Writes `results/label_noise.md`.
"""

import argparse
from pathlib import Path

import numpy as np

from ase_lode import load_potential
from ase_lode.training.progress import Progress
from ase_lode.training.train import read_data, read_training

RECIPE = Path(__file__).parents[2] / "potentials" / "water" / "train.yaml"
RESULTS = Path(__file__).parent / "results" / "label_noise.md"
#: Root mean square displacement of an atom, Å, up to which frames are compared, and up to which work is a trapezoid.
NEAR, CLOSE = 0.25, 0.1
#: Displacements of one atom that are taken together, Å.
STEPS = (0.0, 0.02, 0.04, 0.06, 0.1, 0.14, 0.2, 0.3)
#: Waves that fit into the cell, of which errors may be made.
WAVES = np.arange(1, 251)


def residuals(structures):
    """Positions, cell lengths, errors of energies (eV) and forces (eV/Å), the latter by atom."""
    potential, energies, forces = load_potential("water"), [], []
    for structure in structures:
        found = potential.evaluate(structure.system)
        energies.append(structure.energy - found.energy)
        forces.append(structure.forces + found.gradient)
    positions = np.array([s.system.positions for s in structures])
    return positions, np.diag(structures[0].system.cell), np.array(energies), np.array(forces)


def near_frames(positions, cell):
    """Pairs of near frames: both numbers, and displacements, (atoms, 3)."""
    for i, here in enumerate(positions[:-1]):
        moves = positions[i + 1:] - here
        moves -= cell * np.round(moves / cell)
        for k in np.flatnonzero(np.sqrt((moves**2).sum(axis=2).mean(axis=1)) < NEAR):
            yield i, i + 1 + k, moves[k]


def correlations(pairs, forces, atoms):
    """Correlation of the errors of one atom's force in two frames, by how far it has moved."""
    moved = np.concatenate([np.linalg.norm(move[atoms], axis=1) for _, _, move in pairs])
    product = np.concatenate([(forces[i][atoms] * forces[j][atoms]).sum(axis=1) for i, j, _ in pairs])
    square = np.concatenate([(forces[i][atoms]**2 + forces[j][atoms]**2).sum(axis=1) / 2 for i, j, _ in pairs])
    inside = [(low <= moved) & (moved < high) for low, high in zip(STEPS, STEPS[1:])]
    return [product[here].sum() / square[here].sum() for here in inside]


def waves(positions, cell, forces, atoms):
    """Amplitude of the error of each component along its own axis, (waves, 3)."""
    phases = 2 * np.pi * positions[:, atoms].reshape(-1, 3) / cell
    errors = forces[:, atoms].reshape(-1, 3)
    return np.array([2 * abs(np.mean(errors * np.exp(1j * n * phases), axis=0)) for n in WAVES])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    config, folder = read_training(RECIPE)
    data = read_data(config, folder, parser.parse_args().data, Progress(quiet=True))
    structures = [*data.train, *data.held]
    positions, cell, energies, forces = residuals(structures)
    pairs, numbers = list(near_frames(positions, cell)), structures[0].system.numbers
    kinds = {"O": numbers == 8, "H": numbers == 1}
    rows = [f"| {name} | {1e3 * np.sqrt(np.mean(forces[:, atoms]**2)):.1f} | "
            f"{' | '.join(f'{value:.2f}' for value in correlations(pairs, forces, atoms))} |"
            for name, atoms in kinds.items()]
    found = 1e3 * waves(positions, cell, forces, kinds["O"])
    peak = found.mean(axis=1).argmax()
    close = [(i, j, move) for i, j, move in pairs if np.sqrt((move**2).sum(axis=1).mean()) < CLOSE]
    scale = 1e3 / len(numbers) / np.sqrt(2)
    work = [energies[j] - energies[i] + np.sum((forces[i] + forces[j]) * move) / 2 for i, j, move in close]
    change = [energies[j] - energies[i] for i, j, _ in close]
    heads = " | ".join(f"{low}-{high}" for low, high in zip(STEPS, STEPS[1:]))
    amplitudes = ", ".join(f"{value:.1f}" for value in found[peak])
    before, after = (scale * np.sqrt(np.mean(np.square(values))) for values in (change, work))
    RESULTS.write_text("\n".join([
        "# What of the errors on liquid water is noise of the labels", "",
        f"`water` on all of its {len(structures)} structures, by `label_noise.py`. Correlation of the error of one "
        f"atom's force in two frames that differ by less than {NEAR} Å per atom ({len(pairs)} pairs), by the atom's "
        "own displacement in Å:", "",
        f"| | error meV/Å | {heads} |", "|---|" + "---:|" * len(STEPS), *rows, "",
        "What is lost over the first 0.05 Å of an oxygen's way is no property of the surroundings. A part of it "
        f"repeats with {WAVES[peak]} waves in the cell, {cell[0] / WAVES[peak]:.3f} Å: along each axis the error has "
        f"an amplitude of {amplitudes} meV/Å there (median over other waves {np.median(found):.1f}), the mark of a "
        "grid in the reference calculation.", "",
        f"Energies agree with these forces: between frames closer than {CLOSE} Å ({len(close)} pairs) the errors of "
        f"energies differ by {before:.3f} meV/atom (root mean square over √2), and by {after:.3f} after the work of "
        "the errors of forces."]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
