"""Whether the files of a workspace fit together; journeys and conditions have modules of their own."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.built_in import BUILT_IN_EVENTS
from engine.authoring.checking.json_schemas import fault_of_schema
from engine.authoring.checking.policies import check_policies
from engine.authoring.checking.references import References
from engine.authoring.checking.scripts import check_scripts, to_be_mended
from engine.authoring.compiling.counts import check_counts
from engine.authoring.definitions import WORKSPACE_FILE, Defined, Definitions
from engine.authoring.models.contents import ContentEntry, Variant
from engine.authoring.models.events import EventEntry
from engine.authoring.models.limits import CapEntry
from engine.authoring.models.purposes import PurposeEntry
from engine.authoring.personal import personal_fact
from engine.errors import Place, Problem
from engine.gate.consent import CROSS_BORDER, OF_EVERY_WORKSPACE, PERSONALISATION
from engine.plugin.answers import PARTS
from engine.rules.condition import YamlPath
from engine.rules.facts import BUILT_IN

ANONYMOUS = "anonymous"
"""The identity of a device, which no workspace declares."""
_EVERY_EVENTS_OWN = {fact.path.removeprefix("event.") for fact in BUILT_IN if fact.path.startswith("event.")}


def check(found: Definitions) -> Iterator[Problem]:
    """Every problem between files, in no particular order."""
    references = References(found)
    yield from found.problems
    yield from _workspace(found)
    yield from _numbers(found, references)
    yield from _merging(found, references)
    for event in found.events.values():
        yield from _event(event)
    for channel in found.channels.values():
        yield from references.check("identity", channel.item.identity, channel, ("identity",))
    for action in found.actions.values():
        if action.item.identity is not None:
            yield from references.check("identity", action.item.identity, action, ("identity",))
    for content in found.contents.values():
        yield from _content(content, found, references)
    yield from check_scripts(found, references)
    for purpose in found.purposes.values():
        yield from _purpose(purpose, references)
    for check_ in found.checks.values():
        for key, noun, names in (
            ("lexicons", "lexicon", check_.item.lexicons),
            ("purposes", "purpose", check_.item.purposes),
            ("channels", "channel", check_.item.channels),
        ):
            for number, name in enumerate(names):
                yield from references.check(noun, name, check_, (key, number))
    for cap in found.caps.values():
        yield from _cap(cap, found, references)
    yield from check_counts(found, references)
    yield from check_policies(found, references)


def _workspace(found: Definitions) -> Iterator[Problem]:
    if found.workspace is None:
        if found.is_complete("workspace"):
            hint = f"add {WORKSPACE_FILE} with kind: workspace, or name the folder that holds it"
            yield Problem(
                Place(WORKSPACE_FILE), "RS040", "(file)", f"there is no {WORKSPACE_FILE} here", hint
            )
        return
    workspace = found.workspace
    built_in = {fact.path.removeprefix("contact.") for fact in BUILT_IN if fact.path.startswith("contact.")}
    for name in workspace.item.attributes:
        if name in built_in:
            message = f"'{name}' is a built-in fact about contacts"
            yield workspace.problem("RS043", message, "use another name", at=("attributes", name))
        elif name in workspace.item.identities:
            message = f"'{name}' is an identity already"
            yield workspace.problem(
                "RS043", message, "addresses are kept as identities; remove it here", at=("attributes", name)
            )
    for key in ("locales", "identities"):
        seen: set[str] = set()
        for number, name in enumerate(getattr(workspace.item, key)):
            if name in seen:
                yield workspace.problem(
                    "RS042", f"'{name}' stands here twice", "remove one of them", at=(key, number)
                )
            seen.add(name)


def _numbers(found: Definitions, references: References) -> Iterator[Problem]:
    workspace = found.workspace
    for name in workspace.item.numbers if workspace is not None else ():
        assert workspace is not None
        yield from references.check("identity", name, workspace, ("numbers", name))


def _merging(found: Definitions, references: References) -> Iterator[Problem]:
    workspace = found.workspace
    for number, name in enumerate(workspace.item.merging.by) if workspace is not None else ():
        assert workspace is not None
        if name != ANONYMOUS:
            yield from references.check("identity", name, workspace, ("merging", "by", number))


def _event(event: Defined[EventEntry]) -> Iterator[Problem]:
    entry = event.item
    if (fault := fault_of_schema(entry.schema_)) is not None:
        at: YamlPath = ("schema", *fault.at)
        hint = "see https://json-schema.org"
        if at[-1] == "type":
            hint = "types are string, number, integer, boolean and array"
        yield event.problem("RS053", f"this is not JSON Schema: {fault.message}", hint, at=at)
        return
    for name in sorted(_EVERY_EVENTS_OWN & set(entry.schema_.get("properties", ()))):
        message = f"'event.{name}' is a fact of every event; a property of that name would hide it"
        yield event.problem("RS043", message, "use another name", at=("schema", "properties", name))
    built_in = BUILT_IN_EVENTS.get(entry.id)
    if built_in is not None and entry.effect not in {None, built_in.effect}:
        message = f"'{entry.id}' is built in, and its effect cannot be changed"
        yield event.problem("RS054", message, "remove 'effect'", at=("effect",))
    elif built_in is None and entry.effect not in {None, "order"}:
        only = next(kind.id for kind in BUILT_IN_EVENTS.values() if kind.effect == entry.effect)
        yield event.problem(
            "RS054", f"only '{only}' has the effect '{entry.effect}'", f"send '{only}'", at=("effect",)
        )
    elif entry.effect == "order":
        properties = entry.schema_.get("properties", {})
        amount = properties.get("amount") if isinstance(properties, dict) else None
        if not isinstance(amount, dict) or amount.get("type") not in {"number", "integer"}:
            message = "an event with the effect order needs a numeric property 'amount'"
            yield event.problem(
                "RS054",
                message,
                "add 'amount: {type: number, minimum: 0}' to the schema's properties",
                at=("schema",),
            )


def _purpose(purpose: Defined[PurposeEntry], references: References) -> Iterator[Problem]:
    if purpose.item.id in OF_EVERY_WORKSPACE:
        said = {
            PERSONALISATION: "what contacts refuse who want nothing personal",
            CROSS_BORDER: "what contacts agree to before facts about them leave their country",
        }
        message = f"'{purpose.item.id}' is in every workspace: {said[purpose.item.id]}"
        yield purpose.problem("RS043", message, "use another name", at=("id",))
    consent = purpose.item.consent
    if consent is not None and consent.double_opt_in is not None:
        for number, name in enumerate(consent.double_opt_in.channels):
            at = ("consent", "double_opt_in", "channels", number)
            yield from references.check("channel", name, purpose, at)
    for locale in purpose.item.titles:
        yield from references.check("locale", locale, purpose, ("titles", locale))


def _content(content: Defined[ContentEntry], found: Definitions, references: References) -> Iterator[Problem]:
    entry = content.item
    for locale in entry.locales:
        yield from references.check("locale", locale, content, ("locales", locale))
    for number, variant in enumerate(entry.variants):
        if not variant.personal:
            yield from _plain(content, number, variant, found)
    if found.workspace is None:
        return
    locales = found.workspace.item.locales
    missing = [locale for locale in locales if locale not in entry.locales]
    if not missing:
        return
    if missing[0] == locales[0]:
        message = f"'{entry.id}' lacks the workspace's default language '{locales[0]}'"
        yield content.problem("RS057", message, f"add locales.{locales[0]}", at=("locales",))
    else:
        message = (
            f"'{entry.id}' has no text in {', '.join(missing)}; contacts of that language get '{locales[0]}'"
        )
        yield content.problem("RW003", message, f"add locales.{missing[0]}", at=("locales",))


def _plain(
    content: Defined[ContentEntry], number: int, variant: Variant, found: Definitions
) -> Iterator[Problem]:
    """What is wrong with a text for those who refused personalisation."""
    default = found.workspace.item.locales[0] if found.workspace is not None else None
    if default is not None and default not in variant.locales:
        message = f"this variant lacks the workspace's default language '{default}'"
        yield content.problem("RS057", message, f"add locales.{default}", at=("variants", number, "locales"))
    for locale, text in variant.locales.items():
        for part in PARTS:
            fact = personal_fact(getattr(text, part))
            if fact is not None:
                where, at, said = to_be_mended(
                    found, content, ("variants", number, "locales", locale, part), _is_personal
                )
                message = f"'{fact}' is about the contact, who refused personalisation{said}"
                hint = "write it so that it suits everybody"
                yield where.problem("RS160", message, hint, at=at)


def _is_personal(template: str) -> bool:
    return personal_fact(template) is not None


def _cap(cap: Defined[CapEntry], found: Definitions, references: References) -> Iterator[Problem]:
    counts = cap.item.counts
    if counts.purpose is not None:
        yield from references.check("purpose", counts.purpose, cap, ("counts", "purpose"))
        purpose = found.purposes.get(counts.purpose)
        if purpose is not None and purpose.item.kind != "marketing" and cap.item.quota is None:
            message = (
                f"'{counts.purpose}' is {purpose.item.kind} and so exempt from caps: this limits nothing"
            )
            hint = "count a marketing purpose; only a platform's 'quota' binds every message"
            yield cap.problem("RW004", message, hint, at=("counts", "purpose"))
    for number, name in enumerate(counts.channels):
        yield from references.check("channel", name, cap, ("counts", "channels", number))
    for number, name in enumerate(counts.journeys):
        yield from references.check("journey", name, cap, ("counts", "journeys", number))
    for number, name in enumerate(counts.contents):
        yield from references.check("content", name, cap, ("counts", "contents", number))
