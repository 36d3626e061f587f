"""GAP by quippy: SOAP with the cutoff and expansion of our model, 200 sparse points of each element."""

import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from quippy.potential import Potential

SOAP = "soap n_max=6 l_max=4 cutoff=5.0 cutoff_transition_width=0.5 atom_sigma=0.5 zeta=2 delta=0.2 n_sparse=200 " \
       "covariance_type=dot_product sparse_method=cur_points add_species=T"


def prepare(atoms):
    train = ase.io.read(Path(__file__).parents[1] / "water_648.extxyz")
    train.info["energy"] = 0.0
    train.arrays["force"] = np.random.default_rng(0).normal(size=(len(train), 3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        train.write(path / "train.xyz", format="extxyz")
        subprocess.run([Path(sys.executable).parent / "gap_fit", f"at_file={path / 'train.xyz'}", f"gap={{{SOAP}}}",
                        "e0={O:0:H:0}", "default_sigma={0.01 1 0 0}", f"gp_file={path / 'gap.xml'}",
                        "energy_parameter_name=energy", "force_parameter_name=none", "do_copy_at_file=F"],
                       check=True, capture_output=True)
        calc = Potential(param_filename=str(path / "gap.xml"))
    return lambda: calc.calculate(atoms, ["energy", "forces", "stress"], ["positions"])
