"""Screened nuclear repulsion of pairs, gathered by centre."""

import numpy as np

from ase_lode._loops.compile import loop


@loop
def repel(start, stop, first, j, vectors, distances, species, numbers, contact, coulomb, length, power, amplitudes,
          decays, energies, gradient, virials):
    """Energies, their gradient and each centre's share of the virial for centres ``start:stop``.

    Pairs are listed in both directions, so every centre takes half of a pair's energy and virial and the whole of
    its own gradient: nothing is scattered.
    """
    for i in range(start, stop):
        energies[i] = 0.0
        gradient[i] = 0.0
        virials[i] = 0.0
        for p in range(first[i], first[i + 1]):
            r = distances[p]
            reach = contact[species[i], species[j[p]]]
            if r >= reach:
                continue
            z_i = numbers[species[i]]
            z_j = numbers[species[j[p]]]
            scale = (z_i ** power + z_j ** power) / length
            screen = 0.0
            slope = 0.0
            for term in range(len(amplitudes)):
                value = amplitudes[term] * np.exp(-decays[term] * scale * r)
                screen += value
                slope -= decays[term] * scale * value
            x = r / reach
            switch = (1.0 - x) ** 3 * (1.0 + 3.0 * x + 6.0 * x * x)
            switch_slope = -30.0 * x * x * (1.0 - x) ** 2 / reach
            charge = coulomb * z_i * z_j / r
            derivative = charge * ((slope - screen / r) * switch + screen * switch_slope)
            energies[i] += 0.5 * charge * screen * switch
            for c in range(3):
                pull = derivative * vectors[p, c] / r
                gradient[i, c] -= pull
                for d in range(3):
                    virials[i, c, d] += 0.5 * pull * vectors[p, d]
