"""Time and memory of ase_lode and of the peers that are installed, on the same water in the same run.

Install peers/requirements.txt and run ``python tests/benchmarks/compare.py`` on an idle machine, about ten minutes.
Each measurement is a process of its own on two threads. Results, figure and tables go to tests/benchmarks/results, the
table to the README as well. A peer that is not installed is skipped; sizes beyond half a minute or the memory are not
run.
"""

import argparse
import datetime
import importlib
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
#: Atoms, file of the cell, its repetitions.
SIZES = {192: ("water_192", (1, 1, 1)), 648: ("water_648", (1, 1, 1)), 3072: ("water_192", (4, 2, 2)),
         24_000: ("water_192", (5, 5, 5)), 110_592: ("water_192", (8, 8, 9))}
#: Atoms of alanine dipeptide.
MOLECULE = 22
ALL, SMALL, LARGE = tuple(SIZES), (192, 648), (3072,)
EFS = "energy, forces, stress"
#: Name: module and function in the folder peers, package, what is computed, whether long-range, threads, sizes.
METHODS = {
    "ase_lode": ("ours:field", "ase-lode", EFS, True, 2, ALL),
    "ase_lode, one thread": ("ours:field", "ase-lode", EFS, True, 1, LARGE),
    "ase_lode without field": ("ours:no_field", "ase-lode", EFS, False, 2, ALL),
    "ase_lode, field l ≤ 4": ("ours:field_l4", "ase-lode", EFS, True, 2, SMALL),
    "ase_lode, featomic's field": ("ours:field_featomic", "ase-lode", EFS, True, 2, ALL),
    "featomic LODE": ("featomic_features:lode", "featomic", "features", True, 2, ALL),
    "featomic LODE, gradients": ("featomic_features:lode_gradients", "featomic", "features, gradients", True, 2,
                                 ALL),
    "featomic LODE 1.0 Å, gradients": ("featomic_features:lode_gradients_fine", "featomic", "features, gradients", True,
                                       2, SMALL),
    "featomic SOAP, gradients": ("featomic_features:soap_gradients", "featomic", "features, gradients", False, 2,
                                 ALL),
    "SOAP-BPNN, long range": ("soap_bpnn:long", "metatrain", EFS, True, 2, ALL),
    "SOAP-BPNN": ("soap_bpnn:short", "metatrain", EFS, False, 2, ALL),
    "NEP": ("nep:prepare", "calorine", EFS, False, 2, ALL),
    "GAP": ("gap:prepare", "quippy-ase", EFS, False, 2, ALL),
    "MACE 64x0e": ("mace_network:prepare", "mace-torch", EFS, False, 2, ALL),
    "CHGNet": ("chgnet_network:prepare", "chgnet", EFS, False, 2, ALL),
    "torch-pme P3M": ("torch_pme:prepare", "torch-pme", "Coulomb energy, forces, stress", True, 2, ALL),
    "OpenMM TIP3P": ("openmm_tip3p:prepare", "openmm", "force field: energy, forces", True, 2, ALL),
}
#: Seconds: the longest evaluation that is predicted and still run, any process, repeats of one measurement.
LONGEST, KILL, REPEAT = 30.0, 300.0, 3.0
THREADS = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS",
           "NUMBA_NUM_THREADS")


def water(size):
    """Water at 300 K: an equilibrated cell, repeated."""
    import ase.io

    name, repeats = SIZES[size]
    return ase.io.read(HERE / f"{name}.extxyz").repeat(repeats)


def measure(function, size):
    """Least seconds of an evaluation, atoms moving a little before each, and this process's peak memory in MiB."""
    import ase.io
    import numpy as np

    warnings.simplefilter("ignore")
    module, name = function.split(":")
    prepare = getattr(importlib.import_module(f"peers.{module}"), name)
    rng = np.random.default_rng(0)
    atoms = ase.io.read(HERE / "alanine_dipeptide.xyz") if size == MOLECULE else water(size)
    warm_up = prepare(atoms.copy() if size == MOLECULE else water(192))
    for _ in range(3):  # compiles what is compiled at the first calls
        warm_up()
    evaluate, times, began = prepare(atoms), [], 0.0
    # The first call of a size searches neighbours and fills caches as no later one: it counts only where it takes so
    # long that there is no other.
    while len(times) < 2 or (time.perf_counter() - began < REPEAT and len(times) < 1000):
        atoms.positions += rng.normal(scale=1e-3, size=atoms.positions.shape)
        start = time.perf_counter()
        evaluate()
        times.append(time.perf_counter() - start)
        if times[0] > LONGEST:
            break
        began = began or time.perf_counter()
    return {"seconds": min(times[1:] or times), "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def in_child(function, size, threads):
    """`measure` in a process of its own, or the reason why there is no result.

    A child's peak memory starts from this process's, so nothing large is imported here before all is measured.
    """
    command = [sys.executable, "-W", "ignore", __file__, "--measure", function, "--size", str(size)]
    environment = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
    try:
        child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=KILL)
    except subprocess.TimeoutExpired:
        return f"stopped after {KILL:.0f} s"
    if child.returncode:
        return (child.stderr.strip().splitlines() or [f"ended by signal {-child.returncode}"])[-1]
    return json.loads(child.stdout.splitlines()[-1])


def sweep(function, threads, sizes):
    """Results by size, up to the largest that time and memory allow."""
    found, exponent = {}, 1.0
    memory = 0.8 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    for size in sizes:
        if found:
            last = max(found)
            seconds = found[last]["seconds"] * (size / last) ** exponent
            if seconds > LONGEST or found[last]["MiB"] * (size / last) > memory:
                break
        result = in_child(function, size, threads)
        print(f"  {size:7d} atoms: {result}", flush=True)
        if isinstance(result, str):
            break
        if found:
            exponent = max(1.0, math.log(result["seconds"] / found[last]["seconds"]) / math.log(size / last))
        found[size] = result
    return found


def run(names, largest):
    """Everything that is measured, as one mapping."""
    systems = {}
    for name in names:
        function, package, computes, long_range, threads, sizes = METHODS[name]
        try:
            release = version(package)
        except ModuleNotFoundError:
            print(f"{name}: skipped, {package} is not installed")
            continue
        print(f"{name} ({package} {release})", flush=True)
        found = sweep(function, threads, [size for size in sizes if size <= largest])
        systems[name] = {"version": f"{package} {release}", "computes": computes, "long_range": long_range,
                         "threads": threads, "sizes": found}
    print("molecule, start-up", flush=True)
    return {"machine": f"{processor()}, {os.cpu_count()} cores", "date": datetime.date.today().isoformat(),
            "python": platform.python_version(), "methods": systems, **ours_alone()}


def ours_alone():
    """Seconds of a molecule's forces, to the first energy with empty and filled cache, and of `ase-lode --help`."""
    molecule = in_child("ours:molecule", MOLECULE, 2)
    if isinstance(molecule, str):
        raise SystemExit(f"The molecule failed: {molecule}")
    energy = [sys.executable, "-W", "ignore", "-c",
              "import ase.io, ase_lode, sys; atoms = ase.io.read(sys.argv[1]);"
              "atoms.calc = ase_lode.LODECalculator('water'); atoms.get_potential_energy()", HERE / "water_192.extxyz"]
    with tempfile.TemporaryDirectory() as cache:
        cold, *warm = (seconds(energy, NUMBA_CACHE_DIR=cache) for _ in range(4))
    calls = [seconds([Path(sys.executable).parent / "ase-lode", "--help"]) for _ in range(4)]
    return {"molecule_seconds": molecule["seconds"], "cold_seconds": cold, "warm_seconds": min(warm),
            "help_seconds": min(calls)}


def seconds(command, **environment):
    """Wall time of a command."""
    start = time.perf_counter()
    subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)
    return time.perf_counter() - start


def processor():
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(METHODS), metavar="NAME", choices=list(METHODS))
    parser.add_argument("--largest", type=int, default=max(SIZES), help="largest number of atoms")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder; the README is renewed for the default")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.size)))
        return
    results = run(options.only, options.largest)
    from report import write  # matplotlib, after the measurements

    write(results, options.results, renew_readme=options.results == RESULTS)


if __name__ == "__main__":
    main()
