"""Ranges of centres on a few threads: the only parallelism there is.

Loops are compiled with the interpreter lock released, so plain threads suffice. A pool belongs to one process and is
made at first use: a forked child makes its own.
"""

import os
from concurrent.futures import ThreadPoolExecutor

#: Below this many centres one thread is faster than two (a dispatch costs about 30 µs).
SERIAL_BELOW = 64

_pools = {}


def available_threads():
    """Number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(loop, n_centres, n_threads, *arguments):
    """Call ``loop(start, stop, *arguments)`` over consecutive ranges that cover ``n_centres``.

    Every centre writes its own rows of the output arrays, so the result does not depend on the number of threads.

    Parameters
    ----------
    loop : callable
        A compiled loop whose first two arguments are the range of centres.
    n_centres : int
        Number of centres.
    n_threads : int
        Largest number of threads to use.
    *arguments
        The loop's other arguments.
    """
    if n_threads == 1 or n_centres < SERIAL_BELOW:
        loop(0, n_centres, *arguments)
        return
    bounds = [n_centres * part // n_threads for part in range(n_threads + 1)]
    others = [_pool(n_threads).submit(loop, start, stop, *arguments) for start, stop in zip(bounds[1:], bounds[2:])]
    try:
        loop(bounds[0], bounds[1], *arguments)
    finally:
        for other in others:
            other.result()


def _pool(n_threads):
    key = (os.getpid(), n_threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(max_workers=n_threads - 1, thread_name_prefix="ase_lode")
    return _pools[key]
