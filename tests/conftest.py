"""Fixtures for all tests: where real data lies, and a cache of ``datasets`` that belongs to this run."""

import os
import tempfile
from pathlib import Path

import pytest

# Before anything imports datasets: no network, and no traces in the cache of whoever runs the tests.
os.environ["HF_HUB_OFFLINE"] = "1"
_CACHE = tempfile.TemporaryDirectory(prefix="tamis-tests-", ignore_cleanup_errors=True)
os.environ["HF_DATASETS_CACHE"] = _CACHE.name


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of shared data sets: ``$TAMIS_DATA``, else ``../shared/data`` beside the repository."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("TAMIS_DATA", beside))
    if not (folder / "README.md").exists():
        reason = f"no shared data in {folder}; set TAMIS_DATA to its folder"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
