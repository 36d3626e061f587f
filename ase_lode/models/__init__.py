"""Fitted potentials: baseline, head, file format and the library of shipped ones."""
