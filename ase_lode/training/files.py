"""Writing text files whole or not at all."""

import os


def write_whole(path, text):
    """Write under a temporary name first, so that nobody ever sees half of the file; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
