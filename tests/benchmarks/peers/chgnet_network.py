"""CHGNet: the pretrained network of the package."""

from chgnet.model import CHGNet, CHGNetCalculator


def prepare(atoms):
    calc = CHGNetCalculator(CHGNet.load(verbose=False, use_device="cpu"), use_device="cpu")
    return lambda: calc.calculate(atoms, ["energy", "forces", "stress"])
