"""The levels of theory used as teachers: a name that is written into every frame, and the calculator behind it."""

#: Electronic temperature (K) and numerical accuracy factor of every tblite label.
ELECTRONIC_TEMPERATURE = 300.0
ACCURACY = 0.1


def xtb():
    """Return ASE's calculator for GFN1-xTB in tblite (Gamma point only, three periodic directions or none)."""
    from tblite.ase import TBLite

    return TBLite(method="GFN1-xTB", accuracy=ACCURACY, electronic_temperature=ELECTRONIC_TEMPERATURE, verbosity=0)


def emt():
    """Return the effective medium theory that ships with ASE."""
    from ase.calculators.emt import EMT

    return EMT()


LEVELS = {"GFN1-xTB": xtb, "EMT": emt}
