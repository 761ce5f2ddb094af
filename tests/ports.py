"""Ports for servers that a test starts itself, and ports where nobody listens."""

from __future__ import annotations

import itertools
import os
import socket

_OWN = 2_000
"""Ports that each process of a run of tests has for itself."""


def _mine() -> range:
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw7").removeprefix("gw")) % 8
    return range(16_000 + process * _OWN, 16_000 + (process + 1) * _OWN)


_turns = itertools.count(os.getpid())


def free_port() -> int:
    """A port on loopback where nothing listens, nor will before this process asks for thousands more.

    The kernel gives the ports from 32768 on to connections and to servers that ask for any: one of those that
    was free a moment ago may be taken when it is used.
    """
    mine = _mine()
    for turn in itertools.islice(_turns, len(mine)):
        port = mine[turn % len(mine)]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is free")
