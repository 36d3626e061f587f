"""Compiled loops: numba and arrays, nothing else; every file is self-contained so that the disk cache stays right."""
