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
text = (HERE / "input.xml").read_text().replace("STRUCTURE", str(structure)).replace("ADDRESS", address)
(options.out / "input.xml").write_text(text.replace(">100</total_steps>", f">{options.steps}</total_steps>"))

log = open(options.out / "i-pi.log", "w", encoding="utf-8")
server = subprocess.Popen([BIN / "i-pi", "input.xml"], cwd=options.out, stdout=log)
while not Path(f"/tmp/ipi_{address}").exists() and server.poll() is None:  # drivers need the socket
    time.sleep(0.1)
driver = [BIN / "i-pi-py_driver", "-u", "-a", address, "-m", "custom", "-P", HERE / "driver.py",
          "-o", f"{structure},{POTENTIAL}"]
drivers = [subprocess.Popen(driver, stdout=log) for _ in range(DRIVERS)]
for process in (server, *drivers):
    if process.wait() != 0:
        sys.exit(f"{process.args[0]} failed; see {log.name}")

found = np.loadtxt(options.out / "simulation.out")
atoms = ase.io.read(structure)
atoms.calc = LODECalculator(POTENTIAL)
print(f"i-PI and plain calculator differ by {abs(found[0, 5] - atoms.get_potential_energy()):.1e} eV at the start")
print(f"after {found[-1, 0]:.0f} steps: {found[-1, 3]:.0f} K, conserved energy drifted by "
      f"{abs(found[-1, 2] - found[0, 2]):.1e} eV")
