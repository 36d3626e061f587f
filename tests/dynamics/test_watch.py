"""What a run is judged by at every step, against the same in NumPy."""

import numpy as np
import pytest

from ase_lode._loops.watch import judge


@pytest.fixture
def frame():
    """Arguments of the loop for atoms in a cell that shrinks, with bonds across its boundary."""
    rng = np.random.default_rng(0)
    before, carry = rng.normal(scale=3, size=(6, 3)), np.eye(3) * 0.99 + 0.01 * rng.random((3, 3))
    first, second = np.array([0, 1, 4]), np.array([1, 3, 5])
    return {"positions": before @ carry + rng.normal(scale=0.1, size=(6, 3)), "before": before, "carry": carry,
            "momenta": rng.normal(size=(6, 3)), "masses": rng.random(6) + 1, "first": first, "second": second,
            "offsets": rng.normal(size=(3, 3)), "longest": np.array([4.0, 1.0, 2.0])}


def test_extremes(frame):
    shift, twice_kinetic, broken, length = judge(*frame.values())
    x, p, m = frame["positions"], frame["momenta"], frame["masses"]
    assert shift == pytest.approx(np.abs(x - frame["before"] @ frame["carry"]).max(), rel=1e-13)
    assert twice_kinetic == pytest.approx((p**2 / m[:, None]).sum(), rel=1e-13)
    lengths = np.linalg.norm(x[frame["second"]] - x[frame["first"]] + frame["offsets"], axis=1)
    worst = (lengths - frame["longest"]).argmax()
    assert (lengths > frame["longest"]).sum() > 1
    assert broken == worst and length == pytest.approx(lengths[worst], rel=1e-13)


def test_whole_bonds(frame):
    frame["longest"] = np.full(3, 100.0)
    assert judge(*frame.values())[2] == -1


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["positions", "momenta"])
def test_what_is_not_finite_stays_so(frame, name, value):
    frame[name][3, 1] = value
    assert not np.isfinite(judge(*frame.values())[:2]).all()
