"""By how much the physics tests of the mesh and of periodicity hold: the largest deviation beside each limit.

``python tests/benchmarks/margins.py [--out FILE]`` prints a Markdown table. It calls the functions that the tests named
in it are made of; symmetries, cells and net forces come from `ase_lode.check` on a shipped potential.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "physics"))

import test_mesh_steps as steps
import test_tolerance as accuracy
import test_vacuum as vacuum
from synthetic import bulk, potential, slab
from synthetic import molecule as seven_atoms

from ase_lode import LODECalculator
from ase_lode.check import check
from ase_lode.features import reaches


def limits_of_vacuum():
    """Energy of a slab, wire and molecule less the extrapolated one of growing boxes, eV/atom."""
    for kind, (lengths, powers) in vacuum.APPROACH.items():
        atoms = vacuum.structure(kind)
        calc = LODECalculator(potential("charges", cutoff=5.0), tolerance=2e-6, on_extrapolation="ignore", n_threads=1)
        energies = [calc.get_potential_energy(vacuum.boxed(atoms, length)) / len(atoms) for length in lengths]
        deviation = vacuum.extrapolate(lengths, energies, powers) - calc.get_potential_energy(atoms) / len(atoms)
        yield f"{kind}: limit of growing vacuum, energy", abs(deviation), 1e-6, "eV/atom", "physics/test_vacuum.py"


def forces_of_the_mesh():
    """Forces at the default tolerance against those at 1e-9 and against direct sums, relative RMS."""
    for pbc in ((True, True, True), (True, True, False), (False, False, False)):
        atoms = accuracy.skewed(pbc)
        reaches.DIRECT, usual = 0.0, reaches.DIRECT
        tight = LODECalculator(potential("charges"), on_extrapolation="ignore", tolerance=1e-9).get_forces(atoms)
        reaches.DIRECT = np.inf
        default = LODECalculator(potential("charges"), on_extrapolation="ignore").get_forces(atoms)
        reaches.DIRECT = usual
        name = "".join("FT"[p] for p in pbc)
        yield (f"mesh against {'tight mesh' if any(pbc) else 'direct sum'}, forces, {name}",
               accuracy.error(default, tight), 1e-5, "relative RMS", "physics/test_tolerance.py")
    worst = 0.0
    for atoms in (accuracy.water_box(32), accuracy.salt()):
        for exponent, l_max, cutoff, share in ((1, 0, 5.0, 0.5), (1, 2, 4.0, 0.5), (1, 3, 5.0, 0.2), (4, 1, 4.0, 0.5)):
            found, direct = accuracy.evaluate(accuracy.field(1e-5, exponent, l_max, cutoff, share * cutoff), atoms)
            worst = max([worst] + [accuracy.error(*pair) for pair in zip(found[l_max + 1:], direct())])
    yield ("mesh against sums over wave vectors and pairs, gradients of the field", worst, 1e-5, "relative RMS",
           "physics/test_tolerance.py")


def jumps():
    """Energy at the same geometry on two meshes between which a strained cell changes, and with two reaches, eV/atom.
    """
    for structure in (steps.water, steps.salt_slab):
        atoms, name = structure()
        worst = max(steps.jumps(atoms, name))
        yield f"jump where the mesh changes, {name}", worst, 1e-7, "eV/atom", "physics/test_mesh_steps.py"
    for pbc in ((True, True, True), (True, True, False), (False, False, False)):
        choices = [*([] if any(pbc) else [None]), *reaches.STEPS[:6]]
        found = list(steps.energies_by_reach(steps.dilute(pbc), "water-npt", choices))
        yield (f"jump where the reach changes, water-npt, {''.join('FT'[p] for p in pbc)}",
               np.abs(np.diff(found)).max(), 1e-7, "eV/atom", "physics/test_mesh_steps.py")


def gradients():
    """Forces against Richardson's differences of the energy at every tolerance, relative."""
    reaches.DIRECT, usual = np.inf, reaches.DIRECT
    for tolerance in (1e-3, 1e-5, 1e-8):
        worst = 0.0
        for atoms in (bulk(), slab(), seven_atoms()):
            calc = LODECalculator(potential("two"), tolerance=tolerance, on_extrapolation="ignore", n_threads=1)
            direction = np.random.default_rng(0).normal(size=(len(atoms), 3))

            def energy(step, atoms=atoms, calc=calc, direction=direction):
                moved = atoms.copy()
                moved.positions += step * direction
                return calc.get_potential_energy(moved)

            coarse, fine = ((energy(step) - energy(-step)) / (2 * step) for step in (1e-3, 5e-4))
            expected = (coarse - 4 * fine) / 3
            worst = max(worst, abs(np.sum(calc.get_forces(atoms) * direction) / expected - 1))
        yield (f"forces against differences, tolerance {tolerance:g}", worst, 1e-6, "relative",
               "physics/test_mesh_steps.py")
    reaches.DIRECT = usual


def symmetries(name):
    """The checks R1 to R6 and R9 on a shipped potential with its mesh: the finding nearest to its limit."""
    results = [result for result in check(name) if result.value is not None and result.id in
               {"R1", "R2", "R3", "R4", "R5", "R6", "R9"}]
    for number in sorted({result.id for result in results}):
        worst = max((result for result in results if result.id == number), key=lambda r: r.value / r.limit)
        yield (f"{number}, `{name}`: {worst.what}, {worst.structure}", worst.value, worst.limit, worst.unit,
               "`ase-lode check`, physics/test_shipped.py")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--potential", nargs="+", default=["water", "dipeptides"])
    parser.add_argument("--out", type=Path, help="file for the table")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    parts = [limits_of_vacuum(), forces_of_the_mesh(), jumps(), gradients(), *map(symmetries, options.potential)]
    lines, good = ["| what | measured | must | margin | test |", "|---|---|---|---|---|"], True
    print("\n".join(lines), flush=True)
    for part in parts:
        for what, value, limit, unit, test in part:
            good &= value <= limit
            lines.append(f"| {what} | {value:.1e} {unit} | {limit:.0e} | {limit / max(value, 1e-300):.2g} x | {test} |")
            print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(not good)


if __name__ == "__main__":
    main()
