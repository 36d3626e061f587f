"""Settings of all tests: a cache of compiled loops that an edit in any of them renews, no display, few threads."""

import hashlib
import os
import tempfile
from pathlib import Path

import pytest

LOOPS = Path(__file__).parent.parent / "ase_lode" / "_loops"
_digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(LOOPS.glob("*.py")))).hexdigest()[:16]
# numba reads these at its first import, so they must be set before anything of the package is imported.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"ase_lode_loops_{os.getuid()}_{_digest}"))
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(scope="session")
def data_folder():
    """Folder of the public reference data, named by ASE_LODE_DATA."""
    folder = os.environ.get("ASE_LODE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set ASE_LODE_DATA to the folder of reference data to run this test")
    return Path(folder)
