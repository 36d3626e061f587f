"""What a training run says while it works: bars on a terminal, plain lines elsewhere, nothing when quiet."""

import sys
import time


class Progress:
    """Speaks to standard error.

    Parameters
    ----------
    quiet : bool
        Say nothing.
    """

    def __init__(self, quiet=False):
        self.quiet = quiet
        self.bars = not quiet and sys.stderr.isatty()

    def say(self, text):
        """One line."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def track(self, items, label, total=None):
        """Pass `items` on, showing how many are done and, at the end, the time they took."""
        total = len(items) if total is None and hasattr(items, "__len__") else total
        start = time.perf_counter()
        count = 0
        if self.bars:
            from rich.console import Console
            from rich.progress import track

            items = track(items, description=label, total=total, console=Console(stderr=True), transient=True)
        for item in items:
            yield item
            count += 1
        self.say(f"{label}: {count} in {time.perf_counter() - start:.1f} s")
