"""A potential at the service of a server that speaks i-PI's protocol: ASE's SocketIOCalculator, or i-PI itself."""

import argparse

import ase.io
from ase.calculators.socketio import SocketClient

from ase_lode import LODECalculator

parser = argparse.ArgumentParser()
parser.add_argument("structure", help="file with the server's atoms in their order")
parser.add_argument("potential")
parser.add_argument("--host", default="localhost")
parser.add_argument("--port", type=int, default=31415)
options = parser.parse_args()

atoms = ase.io.read(options.structure)
atoms.calc = LODECalculator(options.potential)
SocketClient(host=options.host, port=options.port).run(atoms, use_stress=bool(atoms.pbc.any()))
