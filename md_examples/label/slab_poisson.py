"""Poisson's equation in GPAW, periodic along the surface, free across it: no images of the slab, no dipole layer."""

import numpy as np
import scipy.fft
from gpaw.extensions import Extension


class FreeAcross(Extension):
    """Makes GPAW (LCAO or FD, orthorhombic cell, pbc along x and y only) solve with `SlabPoisson`."""

    name = "free across"

    def create_poisson_solver(self, grid, pw=None, *, charge=0.0, xp=np):
        """GPAW asks every extension for a solver."""
        return SlabPoisson(grid.size_c, grid.cell_cv.diagonal())

    def todict(self):
        return {}


class SlabPoisson:
    """The potential of a charge density by Fourier transforms, z padded and the kernel truncated.

    The kernel is 4π/k² [1 - exp(-k∥R)(cos k_z R - k_z/k∥ sin k_z R)], R the height of the cell (Rozzi et al., PRB 73,
    205119, 2006).

    Parameters
    ----------
    points : sequence of int
        Of the grid; those of z at 0 are not stored.
    sides : sequence of float
        Of the cell (bohr).
    """

    def __init__(self, points, sides):
        (nx, self.ny, nz), (dx, dy, dz) = points, np.divide(sides, points)
        self.stored, self.padded, reach = nz - 1, scipy.fft.next_fast_len(2 * nz), sides[2]
        kx, kz = (2 * np.pi * scipy.fft.fftfreq(*line) for line in ((nx, dx), (self.padded, dz)))
        ky = 2 * np.pi * scipy.fft.rfftfreq(self.ny, dy)
        along = np.hypot(ky[:, None, None], kx[:, None])
        turn = kz * reach
        with np.errstate(divide="ignore", invalid="ignore"):
            self.kernel = 4 * np.pi / (along**2 + kz**2) * (
                1 - np.exp(-along * reach) * (np.cos(turn) - kz / along * np.sin(turn)))
            self.kernel[0, 0] = 4 * np.pi / kz**2 * (1 - np.cos(turn) - turn * np.sin(turn))
        self.kernel[0, 0, 0] = -2 * np.pi * reach**2

    def __str__(self):
        return "free across the slab"

    def solve(self, vHt, rhot):
        """Write the potential (hartree) of a density of no net charge."""
        waves = scipy.fft.fft(scipy.fft.rfft(rhot.data, axis=1), axis=0).transpose(1, 0, 2)
        waves = self.kernel * scipy.fft.fft(waves, n=self.padded, axis=2)
        waves = scipy.fft.ifft(scipy.fft.ifft(waves, axis=2)[:, :, : self.stored], axis=1)
        vHt.data[:] = scipy.fft.irfft(waves.transpose(1, 0, 2), n=self.ny, axis=1)
        return np.nan

    def dipole_layer_correction(self):
        """None is needed."""
        return 0.0
