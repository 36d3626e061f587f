"""Dipole and polarizability along a run, for the log and the frames."""

from ase.stress import full_3x3_to_voigt_6_stress

from ase_lode.errors import ConfigError

#: Columns of the log.
DIPOLE = tuple(f"dipole_{axis}_eA" for axis in "xyz")
POLARIZABILITY = tuple(f"polarizability_{name}_A3" for name in ("xx", "yy", "zz", "yz", "xz", "xy"))


class Responder:
    """Dipole (e·Å) and polarizability (Å³) along a run, once for each structure, from the run's potential or another.

    Parameters
    ----------
    atoms : ase.Atoms
        The atoms of the run.
    source : True or str
        True: the atoms' own calculator; else the name or file of a potential with a response model.

    Raises
    ------
    ConfigError
        The source gives no response.
    """

    def __init__(self, atoms, source):
        from ase_lode.calculator import LODECalculator

        self.atoms, calc = atoms, atoms.calc if source is True else LODECalculator(source)
        if not hasattr(calc, "respond"):
            raise ConfigError("response=True needs a LODECalculator with a response model; name a potential instead.")
        self.respond, self.seen, self.found = calc.respond, None, None
        if not self.values():
            raise ConfigError("The potential of response= gives neither a dipole nor a polarizability for this "
                              "structure; see `ase-lode info` for its targets.")

    def values(self):
        """`dipole` and `polarizability`, as far as they are defined."""
        here = self.atoms.positions.tobytes() + self.atoms.cell.array.tobytes()
        if here != self.seen:
            found = self.respond(self.atoms)
            self.seen, self.found = here, {name: found[name] for name in ("dipole", "polarizability") if name in found}
        return self.found

    @property
    def columns(self):
        """Names of the numbers in `row`."""
        found = self.values()
        return [*(DIPOLE if "dipole" in found else ()), *(POLARIZABILITY if "polarizability" in found else ())]

    def row(self):
        """The response as numbers."""
        found = self.values()
        tensor = found.get("polarizability")
        return [*found.get("dipole", ()), *(() if tensor is None else full_3x3_to_voigt_6_stress(tensor))]
