"""i-PI's Python driver with a potential of ase_lode: i-pi-py_driver -m custom -P driver.py -o STRUCTURE,POTENTIAL."""

from ipi.pes._ase import ASEDriver

from ase_lode import LODECalculator

__DRIVER_NAME__ = "custom"
__DRIVER_CLASS__ = "LODEDriver"


class LODEDriver(ASEDriver):
    """Energies and forces, and stresses of periodic structures.

    Parameters
    ----------
    template : str
        File with the atoms in the order of i-PI's.
    potential : str
        Shipped name or path.
    """

    def __init__(self, template, potential, *args, **kwargs):
        self.potential = potential
        super().__init__(template, *args, **kwargs)

    def check_parameters(self):
        """Called by i-PI at the start."""
        super().check_parameters()
        if not self.template_ase.pbc.any():
            self.capabilities.remove("stress")
        self.ase_calculator = LODECalculator(self.potential)
