"""A labelled file that grows batch by batch: killed at any moment it keeps what it has, and goes on from there."""

import argparse
import gzip
import io
import os
import time
import zlib
from pathlib import Path

import ase.io
import numpy as np

DATA = Path(__file__).resolve().parent.parent / "data"


def random_of(group):
    """Return the random generator of a group: it depends on the group's name only, not on the order of work."""
    return np.random.default_rng(zlib.crc32(group.encode()))


def append(path, frames):
    """Add labelled frames to an extxyz file, compressed if its name ends in ``.gz``; all of them or none."""
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    added = text.getvalue().encode()
    if path.suffix == ".gz":
        added = gzip.compress(added, mtime=0)
    draft = path.with_name(path.name + ".draft")
    draft.write_bytes((path.read_bytes() if path.exists() else b"") + added)
    os.replace(draft, path)


def fill(default_name, batches):
    """Run from the command line: label the batches that the file does not hold yet, reporting progress.

    Parameters
    ----------
    default_name : str
        File name in ``md_examples/data``, unless ``--out`` says otherwise.
    batches : mapping of str to callable
        Per group, in order: a function without arguments that returns its labelled frames. Every frame's
        ``info["group"]`` is the key.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=DATA / default_name, help="extxyz file to begin or to continue")
    parser.add_argument("--batches", type=int, default=len(batches), help="stop after this many new batches")
    options = parser.parse_args()

    path, done = options.out, set()
    if path.exists():
        done = {atoms.info["group"] for atoms in ase.io.iread(path)}
    todo = [group for group in batches if group not in done][: options.batches]
    print(f"{path.name}: {len(done)} of {len(batches)} batches are there, labelling {len(todo)}", flush=True)
    start = time.perf_counter()
    for count, group in enumerate(todo, 1):
        begin = time.perf_counter()
        frames = batches[group]()
        append(path, frames)
        now = time.perf_counter()
        left = (now - start) / count * (len(todo) - count)
        print(f"  {group}: {len(frames)} structures in {now - begin:.1f} s, about {left:.0f} s left", flush=True)
