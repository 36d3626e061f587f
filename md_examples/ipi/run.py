"""Quantum nuclei: i-PI moves 4 beads of liquid water, two drivers share their forces."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np

from ase_lode import LODECalculator

POTENTIAL = "water"
DRIVERS = 2

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=100)
parser.add_argument("--out", type=Path, default=HERE / "out")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

structure, address = HERE.parent / "water_nvt" / "water64.xyz", f"ase_lode_{os.getpid()}"
socket = Path(f"/tmp/ipi_{address}")
atoms = ase.io.read(structure)
atoms.calc = LODECalculator(POTENTIAL)
energy = atoms.get_potential_energy()
text = (HERE / "input.xml").read_text()
for word, value in (("STRUCTURE", structure), ("ADDRESS", address), ("ENERGY", repr(energy)), ("STEPS", options.steps)):
    text = text.replace(word, str(value))
(options.out / "input.xml").write_text(text)

log = open(options.out / "i-pi.log", "w", encoding="utf-8")
server = subprocess.Popen([BIN / "i-pi", "input.xml"], cwd=options.out, stdout=log, stderr=log)
while not socket.exists() and server.poll() is None:  # drivers need the socket
    time.sleep(0.1)
driver = [BIN / "i-pi-py_driver", "-u", "-a", address, "-m", "custom", "-P", HERE / "driver.py",
          "-o", f"{structure},{POTENTIAL}"]
drivers = [subprocess.Popen(driver, stdout=log, stderr=log) for _ in range(DRIVERS)]
while server.poll() is None:
    if any(process.poll() for process in drivers):  # i-PI would wait for it; 0 is a driver sent home at the end
        for process in (server, *drivers):
            process.kill()
    time.sleep(0.1)
socket.unlink(missing_ok=True)
for process in (*drivers, server):
    if process.wait() != 0:
        sys.exit(f"{process.args[0].name} failed; see {log.name}")

found = np.loadtxt(options.out / "simulation.out")
print(f"i-PI and plain calculator differ by {abs(found[0, 5]):.1e} eV at the start")  # which i-PI takes as its zero
print(f"after {found[-1, 0]:.0f} steps: {found[-1, 3]:.0f} K, conserved energy drifted by "
      f"{abs(found[-1, 2] - found[0, 2]):.1e} eV")
