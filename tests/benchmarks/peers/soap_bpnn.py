"""metatrain's SOAP-BPNN with its default settings (cutoff 5 Å, l up to 6) and random weights."""

import tempfile
from pathlib import Path

from metatomic_ase import MetatomicCalculator
from metatrain.soap_bpnn import __model__ as SoapBpnn
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_energy_target_info
from omegaconf import OmegaConf


def calculator(atoms, long_range):
    hypers = get_default_hypers("soap_bpnn")["model"]
    hypers["long_range"]["enable"] = long_range
    target = get_energy_target_info("energy", OmegaConf.create({"quantity": "energy", "unit": "eV"}))
    model = SoapBpnn(hypers, DatasetInfo(length_unit="angstrom", atomic_types=[1, 8], targets={"energy": target}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        model.eval().export().save(path)  # saved as users do, which compiles it
        calc = MetatomicCalculator(path, device="cpu")
    return lambda: calc.calculate(atoms, ["energy", "forces", "stress"], ["positions"])


def short(atoms):
    return calculator(atoms, False)


def long(atoms):
    return calculator(atoms, True)
