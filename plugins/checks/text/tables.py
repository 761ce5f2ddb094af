"""Files of data that installed distributions carry; their code is not run for it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def file_of(package: str, name: str) -> bytes:
    """A file of an installed package. RuntimeError says which package lacks it."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, name)
        if path.is_file():
            return path.read_bytes()
    raise RuntimeError(f"the installed package {package!r} has no file {name!r}")
