"""Chiron: a self-hosted realtime platform for mentoring."""

from importlib.metadata import PackageNotFoundError, version

from chiron import _build

_build.refuse_stale_extension()

try:
    __version__ = version("chiron-server")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0"

__all__ = ["__version__"]
