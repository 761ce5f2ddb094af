"""Compiles the words by which people end messages."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.checking.references import References
from engine.authoring.definitions import Definitions
from engine.errors import Problem
from engine.gate.opt_outs import OptOut, plain


def compile_opt_outs(found: Definitions) -> tuple[OptOut, ...]:
    """The lists in the order of their files."""
    return tuple(
        OptOut(
            id=name,
            words=frozenset(plain(word) for word in defined.item.words),
            identities=defined.item.identities,
            source=defined.item.source,
            as_of=defined.item.as_of,
        )
        for name, defined in found.opt_outs.items()
    )


def check_opt_outs(found: Definitions, references: References) -> Iterator[Problem]:
    """Platforms that this workspace does not have."""
    for defined in found.opt_outs.values():
        for number, name in enumerate(defined.item.identities):
            yield from references.check("identity", name, defined, ("identities", number))
