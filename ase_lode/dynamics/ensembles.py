"""Ensembles: ASE's integrators with the right number of degrees of freedom, targets that can move, and a state to save.

Four things are set right here. ASE's thermostats count 3N degrees of freedom; the total momentum, and isolated also
the angular momentum, are conserved, so the rest would be too hot by 3N/(3N-3) or more. The full-cell barostat counts
nine cell degrees of freedom, but its strain rate is symmetric and has six. LangevinBAOAB does not record the heat it
exchanges, without which nothing is conserved. The in-plane barostat is new: three degrees of freedom in the plane of
a and b. What ASE's chains and barostats spend in Python would be longer than a small molecule's forces: chains are
compiled, and barostats ask for forces and stress once per step.
"""

from operator import attrgetter

import numpy as np
from ase import units
from ase.md.bussi import Bussi
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.nose_hoover_chain import FOURTH_ORDER_COEFFS, MTKNPT, NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet
from ase.stress import voigt_6_to_full_3x3_stress
from scipy.special import exprel

from ase_lode._loops.chain import integrate_chain
from ase_lode.dynamics.bonds import Bonds
from ase_lode.dynamics.settings import CONSTANT_PRESSURE
from ase_lode.dynamics.velocities import degrees_of_freedom, remove_drift
from ase_lode.errors import ConfigError

#: Constraints that only fix Cartesian components, which any integrator keeps as long as forces and momenta do.
COMPONENTWISE = {"FixAtoms", "FixCartesian", "FixedPlane", "FixedLine", "FixCom"}
#: Steps between removals of the drift that rounding and the scaling of momenta let grow in a thermostat.
DRIFT_INTERVAL = 1000
#: Atoms from which a molecule may be left to a chain, which is deterministic and does not by itself share energy among
#: stiff vibrations: of 3 atoms one stretch holds 2.8 times its share after 100 ps, of 12 single X-H bonds 0.2 to 2.7
#: times after 15 ps; of 22 all X-H bonds together hold theirs within 2 % in 40 ps.
SHARING = 22
#: Of the chains' factorisation, fourth order.
SHARES = np.array(FOURTH_ORDER_COEFFS)
UNITY = np.eye(3)


class Ensemble:
    """What the driver asks of every integrator.

    Attributes
    ----------
    state : tuple of str
        Attributes that, with positions, momenta, cell and random generator, decide the future.
    """

    state = ()

    def get_state(self):
        """Copies of the state's arrays by attribute name."""
        return {name: np.array(attrgetter(name)(self)) for name in self.state}

    def set_state(self, values):
        """Put back what `get_state` returned."""
        for name in self.state:
            *path, last = name.split(".")
            owner = attrgetter(".".join(path))(self) if path else self
            value = values[name]
            setattr(owner, last, value.copy() if value.ndim else float(value))

    def set_target(self, kT, pressure):
        """Move the targets: kT in eV, pressure in eV/Å³."""

    def conserved(self, energy):
        """Conserved quantity in eV, given the sum of potential and kinetic energy."""
        return energy

    def tidy(self, step):
        """Keep conserved momenta at zero over long runs."""


class Verlet(Ensemble):
    """An integrator of ASE that takes the forces at the start of a step and gives those at its end."""

    forces = None

    def step(self):
        self.forces = super().step(self.forces)


class NVE(Verlet, VelocityVerlet):
    """Constant energy: velocity Verlet."""

    def __init__(self, atoms, settings, dof, rng):
        super().__init__(atoms, settings.timestep_fs * units.fs)


class BussiNVT(Verlet, Bussi):
    """Stochastic velocity rescaling, Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007)."""

    state = ("transferred_energy",)

    def __init__(self, atoms, settings, dof, rng):
        super().__init__(atoms, settings.timestep_fs * units.fs, temperature_K=settings.temperature_K[0],
                         taut=settings.taut_fs * units.fs, rng=rng)
        self.ndof = dof

    def set_target(self, kT, pressure):
        self.temp = kT
        self.target_kinetic_energy = 0.5 * kT * self.ndof

    def conserved(self, energy):
        return energy - self.transferred_energy

    def tidy(self, step):
        if step % DRIFT_INTERVAL == 0:
            remove_conserved(self.atoms, self.ndof)


class LangevinNVT(Ensemble, LangevinBAOAB):
    """Langevin dynamics, BAOAB splitting, Leimkuhler and Matthews, J. Chem. Phys. 138, 174102 (2013)."""

    state = ("heat",)

    def __init__(self, atoms, settings, dof, rng):
        self.heat = 0.0
        # hydrostatic spares a matrix exponential per step and means nothing without a barostat.
        super().__init__(atoms, settings.timestep_fs * units.fs, temperature_K=settings.temperature_K[0],
                         T_tau=1000 * units.fs / settings.friction_per_ps, hydrostatic=True, rng=rng)

    def set_target(self, kT, pressure):
        if kT != self.temperature_K * units.kB:
            self.set_temperature(kT / units.kB)

    def _BAOAB_OU(self, drag_gamma_mod=0.0):
        before = self.atoms.get_kinetic_energy()
        super()._BAOAB_OU(drag_gamma_mod)
        self.heat += self.atoms.get_kinetic_energy() - before

    def conserved(self, energy):
        return energy - self.heat


class Chain(Ensemble):
    """A Nosé-Hoover chain on the particles, told the number of degrees of freedom."""

    state = ("_q", "_p", "_thermostat._eta", "_thermostat._p_eta")

    def __init__(self, atoms, settings, dof, **barostat):
        super().__init__(atoms, settings.timestep_fs * units.fs, temperature_K=settings.temperature_K[0],
                         tdamp=settings.taut_fs * units.fs, **barostat)
        self.dof = dof
        thermostat = self._thermostat
        thermostat._num_atoms_global = dof / 3
        thermostat._Q[0] = dof * thermostat._kT * thermostat._tdamp**2
        thermostat.integrate_nhc = self._integrate_thermostat

    def _integrate_thermostat(self, momenta, delta):
        chain = self._thermostat
        twice_kinetic = float((momenta**2 / self.masses).sum())
        return momenta * integrate_chain(twice_kinetic, float(self.dof), chain._kT, chain._Q, chain._eta, chain._p_eta,
                                         delta, SHARES)

    def set_target(self, kT, pressure):
        self._thermostat._kT = kT

    def conserved(self, energy):
        return energy + self._thermostat.get_thermostat_energy()

    def tidy(self, step):
        if step % DRIFT_INTERVAL == 0:
            remove_conserved(self.atoms, self.dof)
            self._p = self.atoms.get_momenta()


class NoseHooverNVT(Chain, NoseHooverChainNVT):
    """Nosé-Hoover chains, Martyna, Klein and Tuckerman, J. Chem. Phys. 97, 2635 (1992)."""

    def __init__(self, atoms, settings, dof, rng):
        super().__init__(atoms, settings, dof)

    def _integrate_p(self, delta):
        super()._integrate_p(delta)
        self.atoms.set_momenta(self._p)  # a step's forces ignore constraints, and fixed atoms would heat the chain
        self._p = self.atoms.get_momenta()


class FlexibleNPT(Chain, MTKNPT):
    """Constant pressure, all six strains free: a chain on the particles and one on the cell.

    Martyna, Tobias and Klein, J. Chem. Phys. 101, 4177 (1994). The cell's momentum stays while particles and cell
    move, so that one decomposition of it gives all matrices of a step.
    """

    state = (*Chain.state, "_barostat._xi", "_barostat._p_xi", "_h", "_p_g")
    strains = 6

    def __init__(self, atoms, settings, dof, rng):
        super().__init__(atoms, settings, dof, pressure_au=settings.pressure_GPa[0] * units.GPa,
                         pdamp=settings.taup_fs * units.fs)
        barostat = self._barostat
        barostat._cell_dof = self.strains
        barostat._R[0] = self.strains * barostat._kT * barostat._pdamp**2
        self._evaluate()

    def step(self):
        half = self.dt / 2
        self._integrate_barostat(half)
        self._p = self._integrate_thermostat(self._p, half)
        self._integrate_p_cell(half)
        kick, pull, drift, push = self._propagators()
        self._p = self._p @ kick + self._forces @ pull
        self._q = self._q @ drift + self._p / self.masses @ push
        self._h = self._h @ drift
        self._evaluate()
        self._p = self._p @ kick + self._forces @ pull
        self._integrate_p_cell(half)
        self._p = self._integrate_thermostat(self._p, half)
        self._integrate_barostat(half)
        self.atoms.set_momenta(self._p)

    def _evaluate(self):
        self.atoms.set_positions(self._q)
        self.atoms.set_cell(self._h)
        self._forces, self._volume = self.atoms.get_forces(md=True), self._get_volume()
        self._virial = self._volume * voigt_6_to_full_3x3_stress(self.atoms.get_stress())

    def _propagators(self):
        """Matrices, shape (3, 3), of momenta and forces over half a step, and of positions and velocities over one."""
        rates, axes = np.linalg.eigh(self._p_g / self._barostat.W)
        drag, growth = -(rates + rates.sum() / self.dof) * self.dt / 2, rates * self.dt
        return tuple((axes * values) @ axes.T for values in (np.exp(drag), self.dt / 2 * exprel(drag), np.exp(growth),
                                                             self.dt * exprel(growth)))

    def _integrate_p_cell(self, delta):
        kinetic = self._p.T @ (self._p / self.masses)
        scale = kinetic.trace() / self.dof - self._volume * self._pressure_au
        self._p_g = self._p_g + delta * self._free(kinetic - self._virial + scale * UNITY)

    def _free(self, pull):
        """What of a pull on the cell acts on strains that are free."""
        return pull

    def _integrate_barostat(self, delta):
        chain = self._barostat
        self._p_g = self._p_g * integrate_chain(float(np.vdot(self._p_g, self._p_g)) / chain.W, float(self.strains),
                                                chain._kT, chain._R, chain._xi, chain._p_xi, delta, SHARES)

    def set_state(self, values):
        super().set_state(values)
        self._evaluate()

    def set_target(self, kT, pressure):
        self._thermostat._kT = self._barostat._kT = kT
        self._pressure_au = pressure

    def conserved(self, energy):
        return (super().conserved(energy) + self._barostat.get_barostat_energy() + self._get_cell_kinetic_energy()
                + self._pressure_au * self._volume)


class IsotropicNPT(FlexibleNPT):
    """Constant pressure at constant cell shape."""

    strains = 1

    def _free(self, pull):
        return pull.trace() / 3 * UNITY


class InPlaneNPT(FlexibleNPT):
    """Constant lateral pressure: the three strains in the plane of a and b are free, the third vector stays.

    The cell's momentum is projected on the plane, P = 1 - n n^T with n along a x b; with the projected driving force
    the flow keeps the measure A^-1 d⁴h of the in-plane vectors, as the full one keeps that of the cell. A slab's
    virial is stress times volume, whatever the length of the third vector, which must not vanish.
    """

    state = (*FlexibleNPT.state, "_plane")
    strains = 3

    def __init__(self, atoms, settings, dof, rng):
        super().__init__(atoms, settings, dof, rng)
        normal = np.cross(self._h[0], self._h[1])
        normal /= np.linalg.norm(normal)
        self._plane = np.eye(3) - np.outer(normal, normal)

    def _free(self, pull):
        return self._plane @ pull @ self._plane


INTEGRATORS = {"nve": NVE, "nvt-bussi": BussiNVT, "nvt-langevin": LangevinNVT, "nvt-nhc": NoseHooverNVT,
               "npt-mtk": FlexibleNPT, "npt-mtk-iso": IsotropicNPT, "npt-xy": InPlaneNPT}


def remove_conserved(atoms, dof):
    """Set to zero again what was not counted as a degree of freedom: the total and the angular momentum."""
    conserved = atoms.get_number_of_degrees_of_freedom() - dof
    if conserved > 0:
        remove_drift(atoms, rotation=conserved > 3)


def check_ensemble(atoms, ensemble):
    """Refuse an ensemble that this structure cannot have.

    Raises
    ------
    ConfigError
        Constraints the integrator would break, a barostat without periodic cell or stress, or a chain on nothing but
        small molecules.
    """
    kinds = {type(constraint).__name__ for constraint in atoms.constraints}
    if ensemble in CONSTANT_PRESSURE:
        needed = slice(0, 2) if ensemble == "npt-xy" else slice(0, 3)
        if not atoms.pbc[needed].all() or atoms.cell.volume == 0:
            raise ConfigError(f"{ensemble} needs a cell that is periodic along "
                              f"{'a and b, with any third vector' if ensemble == 'npt-xy' else 'a, b and c'}; "
                              "set atoms.cell and atoms.pbc or choose an nvt ensemble.")
        if kinds:
            raise ConfigError(f"{ensemble} cannot keep constraints ({', '.join(sorted(kinds))}); remove them or choose "
                              "an nvt ensemble.")
        if "stress" not in getattr(atoms.calc, "implemented_properties", ()):
            raise ConfigError(f"{ensemble} needs the stress, which this calculator does not give; choose an nvt "
                              "ensemble.")
    elif ensemble in ("nvt-langevin", "nvt-nhc") and kinds - COMPONENTWISE:
        raise ConfigError(f"{ensemble} cannot keep {', '.join(sorted(kinds - COMPONENTWISE))}; choose nvt-bussi, "
                          "which keeps every constraint.")
    elif ensemble == "nvt-nhc" and len(atoms) < SHARING and all(Bonds.find(atoms).neighbours(len(atoms))):
        raise ConfigError(f"nvt-nhc is deterministic and leaves the stiff bonds of so small a molecule ({len(atoms)} "
                          f"of {SHARING} atoms) the energy they begin with; choose nvt-bussi or nvt-langevin.")


def count_degrees_of_freedom(atoms, ensemble):
    """Degrees of freedom behind the temperature; Langevin noise reaches all that constraints leave.

    Raises
    ------
    ConfigError
        Nothing is left to thermostat.
    """
    dof = atoms.get_number_of_degrees_of_freedom() if ensemble == "nvt-langevin" else degrees_of_freedom(atoms)
    # Where constraints leave nothing, rounding leaves momenta that no thermostat can scale to a temperature.
    if ensemble != "nve" and (dof < 1 or atoms.get_kinetic_energy() < 1e-12):
        others = "nve" if ensemble == "nvt-langevin" else "nvt-langevin or nve"
        raise ConfigError(f"{ensemble} has no degree of freedom to thermostat here; choose {others}.")
    return int(dof)
