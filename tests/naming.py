"""Names the cases of a test shortly, and by nothing that changes from one process to the next.

Each process of pytest-xdist collects for itself and must come to the same names. What a case is made of may
be megabytes long, or carry the second in which it was made (as what gzip writes does).
"""

from __future__ import annotations

import pytest

SHOWN = 60
"""Characters of a text that stand in a name."""


@pytest.hookimpl(trylast=True)
def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """The beginning of a long text and how long it is; of bytes, their number."""
    del config, argname
    if isinstance(val, bytes):
        return f"{len(val)} bytes"
    if isinstance(val, str) and len(val) > SHOWN:
        beginning = val[:SHOWN].encode("unicode_escape").decode("ascii")
        return f"{beginning}... ({len(val)} characters)"
    return None
