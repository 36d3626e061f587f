"""Other programs that use the potential, each against the plain calculator: ASE's sockets, i-PI, OpenMM, Dask."""

import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest

from ase_lode import LODECalculator

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "md_examples"
WATER = EXAMPLES / "water_nvt" / "water64.xyz"


def needs(module, extra):
    """Skip where an optional package is not installed."""
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"the extra '{extra}' is not installed")


def environment():
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def run(example, *arguments):
    """Standard output of an example's script."""
    done = subprocess.run([sys.executable, EXAMPLES / example / "run.py", *map(str, arguments)], text=True,
                          capture_output=True, env=environment(), timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def differences(output):
    """The differences in eV and eV/Å that an example prints."""
    return [float(value) for value in re.findall(r"[\d.]+e[+-]\d+", output)]


def water():
    """Liquid water, rattled, with the potential's results."""
    atoms = ase.io.read(WATER)
    atoms.rattle(0.02, seed=1)
    atoms.calc = LODECalculator("water")
    return atoms


def test_sockets_example(tmp_path):
    assert max(differences(run("ase_sockets", "--steps", 10, "--out", tmp_path))) < 1e-10
    assert (tmp_path / "md.csv").read_text().splitlines()[-1].startswith("10,")


def test_client_script_gives_stress_too(tmp_path):
    from ase.calculators.socketio import SocketIOCalculator

    atoms = water()
    expected = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    name = tmp_path / "water.xyz"
    ase.io.write(name, atoms, format="extxyz")
    port = 20000 + os.getpid() % 10000
    with SocketIOCalculator(port=port, timeout=120) as server:
        client = subprocess.Popen([sys.executable, EXAMPLES / "ase_sockets" / "client.py", name, "water", "--port",
                                   str(port)], env=environment())
        atoms.calc = server
        found = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    assert client.wait(timeout=60) == 0
    for one, two in zip(found, expected):
        assert np.allclose(one, two, rtol=1e-10, atol=1e-10)


@needs("ipi", "ipi")
def test_ipi_driver_gives_energy_forces_and_virial():
    from ipi.utils.units import unit_to_internal

    spec = importlib.util.spec_from_file_location("driver", EXAMPLES / "ipi" / "driver.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    atoms = water()
    bohr, hartree = unit_to_internal("length", "angstrom", 1.0), unit_to_internal("energy", "electronvolt", 1.0)
    energy, forces, virial, _ = module.LODEDriver(str(WATER), "water")(atoms.cell.array.T * bohr,
                                                                      atoms.positions * bohr)
    assert energy == pytest.approx(atoms.get_potential_energy() * hartree, rel=1e-12)
    assert np.allclose(forces, atoms.get_forces() * hartree / bohr, rtol=1e-6, atol=1e-9)
    stress = -atoms.get_stress(voigt=False) * atoms.get_volume() * hartree
    assert np.allclose(np.reshape(virial, (3, 3)), stress, rtol=1e-9, atol=1e-9)


@needs("ipi", "ipi")
def test_ipi_example(tmp_path):
    # Of an energy of 30 keV, through i-PI's units and back.
    output = run("ipi", "--steps", 2, "--out", tmp_path)
    assert differences(output)[0] < 1e-6 and "after 2 steps" in output
    assert len(list(tmp_path.glob("simulation.positions_*.extxyz"))) == 4


@pytest.mark.slow
@needs("ipi", "ipi")
def test_ipi_example_ends_when_a_driver_dies(tmp_path):
    command = [sys.executable, EXAMPLES / "ipi" / "run.py", "--steps", "100000", "--out", tmp_path]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        one_driver = ["pkill", "-P", str(process.pid), "--oldest", "-f", "i-pi-py_driver"]
        try:
            while process.poll() is None and subprocess.run(one_driver).returncode:  # they start after i-PI
                time.sleep(0.1)
            _, message = process.communicate(timeout=120)
        finally:
            subprocess.run(["pkill", "-P", str(process.pid)])
            process.kill()
    assert process.returncode == 1 and message.startswith("i-pi-py_driver failed")


@needs("openmmml", "openmm")
def test_openmm_example(tmp_path):
    assert max(differences(run("openmm", "--steps", 10, "--out", tmp_path))) < 1e-9
    assert (tmp_path / "md.csv").is_file() and (tmp_path / "md.dcd").is_file()


@needs("openmmml", "openmm")
def test_openmm_with_a_periodic_cell():
    import openmm
    from ase import units
    from openmm import app, unit
    from openmmml import MLPotential

    atoms = water()
    topology = app.Topology()
    residue = topology.addResidue("HOH", topology.addChain())
    for symbol in atoms.symbols:
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    topology.setPeriodicBoxVectors(atoms.cell.array * unit.angstrom)
    system = MLPotential("ase").createSystem(topology, calculator=LODECalculator("water"))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions * unit.angstrom)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoules_per_mole) * units.kJ / units.mol
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoules_per_mole / unit.angstrom)
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-10)
    assert np.allclose(forces * units.kJ / units.mol, atoms.get_forces(), atol=1e-9)


@needs("distributed", "dask")
def test_many_structures_example(tmp_path):
    output = run("many", "--structures", 20, "--out", tmp_path)
    assert "the same to the last bit as one after the other: True" in output and "relaxed: 4 of 4" in output
    assert len(ase.io.read(tmp_path / "relaxed.extxyz", ":")) == 4
