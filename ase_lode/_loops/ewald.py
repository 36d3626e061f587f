"""Sums over wave vectors: structure factors, fields at the centres, and their adjoints.

A field of centre i is Σ_k Σ_f Re[i^(l_f) C_kf e^(ik·r_i) X_a(k)], X_a(k) = Σ_j q_ja e^(-ik·r_j), over half of the wave
vectors. Coefficients of even l multiply the real part and those of odd l the imaginary one: `even` and `odd` are two
arrays (k, f), each zero where the other is not, in which the signs of i^l are absorbed.
"""

import numpy as np

from ase_lode._loops.compile import inlined, loop


@inlined
def _phase(powers, i, frequencies, k):
    """e^(ik·r_i) from tables powers[i, axis, offset + m] of e^(2πi m s)."""
    offset = powers.shape[2] // 2
    return (powers[i, 0, offset + frequencies[k, 0]] * powers[i, 1, offset + frequencies[k, 1]]
            * powers[i, 2, offset + frequencies[k, 2]])


@loop
def structure(start, stop, powers, frequencies, strengths, out):
    """X_a(k) for a range of wave vectors.

    Parameters
    ----------
    powers : complex array, shape (atoms, 3, 2 m_max + 1)
    frequencies : array of int, shape (k, 3)
    strengths : array, shape (atoms, channels)
    out : complex array, shape (k, channels)
    """
    for k in range(start, stop):
        out[k, :] = 0.0
        for j in range(len(strengths)):
            phase = np.conj(_phase(powers, j, frequencies, k))
            for a in range(strengths.shape[1]):
                out[k, a] += strengths[j, a] * phase


@loop
def fields(start, stop, powers, frequencies, sums, even, odd, out):
    """Fields out[i, a, f] of the centres in a range; `sums` are the X_a(k)."""
    for i in range(start, stop):
        out[i] = 0.0
        for k in range(len(frequencies)):
            phase = _phase(powers, i, frequencies, k)
            for a in range(sums.shape[1]):
                wave = phase * sums[k, a]
                real, imaginary = wave.real, wave.imag
                for f in range(even.shape[1]):
                    out[i, a, f] += real * even[k, f] + imaginary * odd[k, f]


@loop
def adjoint_sums(start, stop, powers, frequencies, sums, even, odd, weights, out, d_coefficients):
    """Σ_i of the centres' adjoint waves Y_a(k), and dE/dC, for a range of wave vectors.

    Parameters
    ----------
    weights : array, shape (atoms, channels, f)
        dE/d(field).
    out : complex array, shape (k, channels)
        Output: Y_a(k), such that E = Σ_k Re Σ_a Y_a X_a.
    d_coefficients : array, shape (2, k, f)
        Output: dE/d(even) and dE/d(odd).
    """
    for k in range(start, stop):
        out[k, :] = 0.0
        d_coefficients[:, k, :] = 0.0
        for i in range(len(weights)):
            phase = _phase(powers, i, frequencies, k)
            for a in range(weights.shape[1]):
                wave = phase * sums[k, a]
                real, imaginary = wave.real, wave.imag
                first, second = 0.0, 0.0
                for f in range(even.shape[1]):
                    weight = weights[i, a, f]
                    first += weight * even[k, f]
                    second += weight * odd[k, f]
                    d_coefficients[0, k, f] += weight * real
                    d_coefficients[1, k, f] += weight * imaginary
                out[k, a] += complex(first, -second) * phase


@loop
def adjoint(start, stop, powers, frequencies, vectors, sums, adjoints, even, odd, weights, strengths, d_positions,
            d_strengths):
    """Gradients of the atoms in a range, each as a centre and as a source.

    Parameters
    ----------
    vectors : array, shape (k, 3)
        Wave vectors in Å⁻¹.
    adjoints : complex array, shape (k, channels)
        The Y_a(k).
    d_positions : array, shape (atoms, 3)
    d_strengths : array, shape (atoms, channels)
    """
    for i in range(start, stop):
        d_positions[i, :] = 0.0
        d_strengths[i, :] = 0.0
        for k in range(len(frequencies)):
            phase = _phase(powers, i, frequencies, k)
            slope = 0.0
            for a in range(strengths.shape[1]):
                first, second = 0.0, 0.0
                for f in range(even.shape[1]):
                    first += weights[i, a, f] * even[k, f]
                    second += weights[i, a, f] * odd[k, f]
                source = adjoints[k, a] * np.conj(phase)
                d_strengths[i, a] += source.real
                # Re[ik z] = -k Im z for the centre's wave, +k Im z for the source's.
                slope += strengths[i, a] * source.imag - (complex(first, -second) * phase * sums[k, a]).imag
            for c in range(3):
                d_positions[i, c] += slope * vectors[k, c]
