"""Arrays that loops read fast: on the boundary of a cache line, and large ones in memory that is used again.

A vector of 8 numbers that crosses a cache line takes two reads; fresh pages from the system cost more than many loops
that fill them. A block is free as soon as nobody holds an array in it, which its reference count tells; nothing needs
to be returned.
"""

import sys
from math import prod
from threading import Lock

import numpy as np

#: Bytes of a cache line.
LINE = 64
#: Arrays below this many bytes come from the allocator, which keeps them itself: glibc asks the system for larger ones.
SMALL = 2**17
#: A block serves arrays down to this share of its size.
FIT = 0.75
#: Requests within which a block that nobody wants is given back to the system: a few evaluations.
PATIENCE = 200

_blocks, _used = [], []  # blocks and the number of the request that each one served last
_requests = 0
_lock = Lock()


def _references(k):
    return sys.getrefcount(_blocks[k])


def _alone():
    """References to a block that nobody else holds."""
    _blocks.append(np.empty(0, np.uint8))
    count = _references(-1)
    _blocks.pop()
    return count


_ALONE = _alone()


def empty(shape, dtype=float):
    """An array like NumPy's, of any content."""
    global _requests
    dtype = np.dtype(dtype)
    size = dtype.itemsize * prod(shape)
    if size < SMALL:
        return _aligned(np.empty(size + LINE, np.uint8), size).view(dtype).reshape(shape)
    with _lock:
        _requests += 1
        if 2 * _requests % PATIENCE == 0:
            _give_back()
        fitting = (k for k in range(len(_blocks) - 1, -1, -1)
                   if FIT * len(_blocks[k]) <= size <= len(_blocks[k]) - LINE and _references(k) == _ALONE)
        found = next(fitting, None)
        if found is None:
            found = len(_blocks)
            _blocks.append(np.empty(size + size // 16 + LINE, np.uint8))
            _used.append(0)
        _used[found] = _requests
        return _aligned(_blocks[found], size).view(dtype).reshape(shape)


def _aligned(block, size):
    start = -block.__array_interface__["data"][0] % LINE
    return block[start:start + size]


def _give_back():
    for k in range(len(_blocks) - 1, -1, -1):
        if 2 * (_requests - _used[k]) >= PATIENCE and _references(k) == _ALONE:
            del _blocks[k], _used[k]


def zeros(shape):
    """An array of zeros like NumPy's."""
    result = empty(shape)
    result.fill(0.0)
    return result


def copy(array):
    """A copy of an array of numbers."""
    result = empty(array.shape, array.dtype)
    result[...] = array
    return result
