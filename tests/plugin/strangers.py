"""Plugins of strangers, installed as distributions of their own for one test."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Strangers:
    """A folder of the path that holds distributions."""

    folder: Path

    def install(self, name: str, code: str, *, attribute: str = "", distribution: str = "") -> str:
        """Install the module `stranger_<name>` as a plugin of that name; the distribution's name."""
        distribution = distribution or f"stranger-{name}"
        module = distribution.replace("-", "_")
        (self.folder / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        info = self.folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[wayline.plugins]\n{name} = {module}{attribute}\n")
        return distribution


@contextmanager
def strangers_in(folder: Path) -> Iterator[Strangers]:
    """Distributions in this folder are found until the block ends, and are forgotten after it."""
    sys.path.insert(0, str(folder))
    try:
        yield Strangers(folder)
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.startswith("stranger_")]:
            del sys.modules[name]
