"""What a check finds, and the verdict on it."""

import math
from dataclasses import asdict, dataclass


class NotOffered(Exception):
    """The calculator or the structure has not what a check is about; no lapse."""


@dataclass(frozen=True)
class Finding:
    """One comparison inside a check.

    Attributes
    ----------
    what : str
        What was compared, or what happened.
    value, limit : float
        How far it is off and how far it may be.
    unit : str
        Of both; empty for a plain yes or no.
    """

    what: str
    value: float
    limit: float = 0.0
    unit: str = ""

    @property
    def excess(self):
        """Value in units of the limit; infinite if it is not a number."""
        if math.isnan(self.value):
            return math.inf
        if self.limit == 0:
            return math.inf if self.value > 0 else 0.0
        return self.value / self.limit


def happened(what, lapse):
    """A finding without a number."""
    return Finding(what, float(lapse))


@dataclass(frozen=True)
class Result:
    """The verdict of one check on one structure.

    Attributes
    ----------
    id, name, meaning : str
        Which check, and what it asks in one sentence.
    grade : {"must", "should"}
        Whether a lapse is a failure or a warning.
    structure : str
        What it was asked about.
    status : {"pass", "fail", "warning", "not offered"}
    what : str
        The worst comparison, or why there is none.
    value, limit : float or None
        How far that comparison is off and how far it may be; None where there is no number.
    unit : str
        Of both.
    """

    id: str
    name: str
    meaning: str
    grade: str
    structure: str
    status: str
    what: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""

    def to_dict(self):
        """Plain content for JSON; a value that is not finite is text."""
        plain = asdict(self)
        if self.value is not None and not math.isfinite(self.value):
            plain["value"] = str(self.value)
        return plain
