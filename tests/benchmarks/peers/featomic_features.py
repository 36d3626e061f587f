"""featomic: features and their gradients alone, without a model; LODE by a sum over wave vectors.

The wave vectors grow with the inverse cube of the smearing. 1.0 Å is what featomic's documentation builds a LODE
expansion with (LodeSpliner, same radial and angular sizes as here) and the middle one of 1.5, 1.0 and 0.5 Å in its own
benchmark (benches/lode-spherical-expansion.rs); 1.4 Å is cheap for featomic and near the first of these.
"""

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


def lode_gradients_fine(atoms):
    calculator = featomic.LodeSphericalExpansion(**{**LODE, "density": {**DENSITY, "smearing": 1.0}})
    return lambda: calculator.compute(atoms, gradients=["positions"])


def soap_gradients(atoms):
    calculator = featomic.SoapPowerSpectrum(**SOAP)
    return lambda: calculator.compute(atoms, gradients=["positions", "strain"])
