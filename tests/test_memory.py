"""Arrays in used memory: nobody's numbers are overwritten, and a loop of equal steps needs no new memory."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from structures import water_box

from ase_lode import memory

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import allocations  # noqa: E402

SHAPE = (1000, 200)


def address(array):
    return array.ctypes.data


@pytest.mark.parametrize("part", [lambda a: a, lambda a: a[3:5], lambda a: a.reshape(-1), lambda a: a.T[::2]],
                         ids=["itself", "slice", "other shape", "strides"])
def test_an_array_is_safe_while_any_view_of_it_is_held(part):
    held = part(memory.zeros(SHAPE))
    others = [memory.empty(SHAPE) for _ in range(20)]
    for other in others:
        other.fill(1.0)
    assert not held.any()


def test_what_nobody_holds_serves_again():
    places = set()
    for k in range(20):
        one, other = memory.empty(SHAPE), memory.empty((SHAPE[0] * SHAPE[1] - k,), np.int64)
        assert address(one) != address(other)
        places |= {address(one), address(other)}
        del one, other
    assert len(places) == 2


def test_what_nobody_wants_is_given_back():
    for k in range(5):
        memory.empty((10**6 * (k + 1),))
    before = sum(len(block) for block in memory._blocks)
    for _ in range(memory.PATIENCE + 2):
        memory.empty(SHAPE)
    assert sum(len(block) for block in memory._blocks) < before - 10**8


def test_threads_do_not_share():
    def work(number):
        for _ in range(200):
            array = memory.empty(SHAPE)
            array.fill(number)
            assert (array == number).all()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


@pytest.mark.parametrize("shape", [(3,), (100, 8), SHAPE])
def test_arrays_start_on_a_cache_line(shape):
    for array in (memory.empty(shape), memory.zeros(shape), memory.copy(np.ones(shape))):
        assert address(array) % memory.LINE == 0 and array.shape == shape


@pytest.mark.filterwarnings("ignore::ase_lode.ExtrapolationWarning")
@pytest.mark.parametrize("potential", ["water", "dipeptides"])
@pytest.mark.skipif(sys.platform != "linux", reason="counts the page faults of Linux and glibc")
def test_steps_take_no_fresh_pages(potential):
    """The least of several steps: a busy system takes idle pages away, and the steps after that fault them in again."""
    atoms = water_box(216)
    assert min(allocations.fresh_pages(allocations.steps_of(atoms, potential), 10)) < 10
