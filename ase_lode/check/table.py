"""Results of checks as a table for people."""

from rich.table import Table
from rich.text import Text

STYLES = {"pass": "green", "fail": "bold red", "warning": "yellow", "not offered": "dim"}
#: From the best to the worst.
ORDER = ("not offered", "pass", "warning", "fail")


def table(results, title):
    """One row per check: its worst result.

    Parameters
    ----------
    results : list of Result
    title : str

    Returns
    -------
    rich.table.Table
    """
    grid = Table(title=title, title_justify="left")
    for heading in ("", "grade", "result"):
        grid.add_column(heading, no_wrap=True)
    for heading in ("question", "worst finding"):
        grid.add_column(heading, overflow="fold")
    for rows in _by_check(results):
        worst = max(rows, key=_badness)
        grid.add_row(worst.id, worst.grade, Text(worst.status, STYLES[worst.status]), Text(worst.meaning),
                     Text(_finding(worst)))
    return grid


def summary(results):
    """One line: how many checks passed, failed, warned."""
    worst = [max(rows, key=_badness).status for rows in _by_check(results)]
    counts = {status: worst.count(status) for status in ("pass", "fail", "warning", "not offered")}
    verdict = "fails what others build on" if counts["fail"] else "passes every must"
    return (f"{verdict}: {counts['pass']} passed, {counts['fail']} failed, {counts['warning']} warnings, "
            f"{counts['not offered']} not offered")


def _by_check(results):
    groups = {}
    for result in results:
        groups.setdefault((result.id, result.name), []).append(result)
    return list(groups.values())


def _badness(result):
    excess = 0.0 if result.value is None else result.value / (result.limit or 1.0)
    return ORDER.index(result.status), excess


def _finding(result):
    if not result.what:
        return ""
    where = "" if result.structure == "all" else f"{result.structure}: "
    if result.value is None:
        return where + result.what
    limit = f"at most {result.limit:.2g}" if result.limit else "none allowed"
    return f"{where}{result.what} off by {result.value:.2g} {result.unit} ({limit})"
