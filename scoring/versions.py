"""Versions of installed packages, for provenance."""

from importlib.metadata import PackageNotFoundError, version


def package_version(name: str) -> str | None:
    """Version of an installed package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def library_version() -> str:
    """The installed version of tamis; ``unknown`` in a source tree that was never installed."""
    return package_version("tamis") or "unknown"
