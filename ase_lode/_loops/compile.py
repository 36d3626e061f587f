"""The one decorator of every compiled loop.

`nogil` lets a thread pool run ranges side by side, `cache` keeps the machine code on disk. The fast-math flags leave
out `nnan` and `ninf`, so that `isnan` stays right. A loop must not call a loop of another file: numba's cache
would not notice an edit there.
"""

import numba

loop = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"nsz", "arcp", "contract", "afn", "reassoc"})
