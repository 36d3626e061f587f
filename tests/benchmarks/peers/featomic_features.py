"""featomic: features and their gradients alone, without a model; LODE by a sum over wave vectors."""

import featomic

BASIS = {"type": "TensorProduct", "max_angular": 4, "radial": {"type": "Gto", "max_radial": 5}}
DENSITY = {"type": "SmearedPowerLaw", "smearing": 1.4, "exponent": 1}
LODE = {"density": DENSITY, "basis": {**BASIS, "radial": {**BASIS["radial"], "radius": 5.0}}}
SOAP = {"cutoff": {"radius": 5.0, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
        "density": {"type": "Gaussian", "width": 0.5}, "basis": BASIS}


def lode(atoms):
    calculator = featomic.LodeSphericalExpansion(**LODE)
    return lambda: calculator.compute(atoms)


def lode_gradients(atoms):
    calculator = featomic.LodeSphericalExpansion(**LODE)
    return lambda: calculator.compute(atoms, gradients=["positions"])


def soap_gradients(atoms):
    calculator = featomic.SoapPowerSpectrum(**SOAP)
    return lambda: calculator.compute(atoms, gradients=["positions", "strain"])
