"""`wayline check`: what the checks of a workspace find in a text, shown where it stands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from engine.authoring.bundle import Bundle
from engine.authoring.outgoing import outgoing, sent_by_journeys
from engine.authoring.reading.validating import known_list, nearest
from engine.cli.output import Format, FormatOption, print_json, shown
from engine.cli.workspaces import bundle_in, folder_of
from engine.clock import SystemClock
from engine.content.fitting import PARTS
from engine.errors import CommandError
from engine.plugin.contracts import Draft, Severity
from engine.plugin.registry import load_registry

if TYPE_CHECKING:
    from engine.delivery.examining import Examination

COLOURS = {Severity.BLOCK: "red", Severity.WARN: "yellow", Severity.INFO: "cyan"}
LONGEST_LINE = 2_000
"""Characters of a text that are shown; of a longer one only the findings are told."""


def register(app: typer.Typer) -> None:
    """Add the command to `wayline`."""
    app.command("check")(check)


def check(
    text: Annotated[str | None, typer.Argument(help="The text; '-' reads it from standard input.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A file with the text, in UTF-8.")] = None,
    channel: Annotated[str, typer.Option(help="Only the checks of this channel.")] = "",
    purpose: Annotated[str, typer.Option(help="Only the checks of this purpose.")] = "",
    locale: Annotated[
        str, typer.Option(help="The language of the text; left out: the workspace's first.")
    ] = "",
    subject: Annotated[str, typer.Option(help="The subject that goes with it.")] = "",
    content: Annotated[
        str,
        typer.Option(help="Instead of a text: a content, on each channel that it is sent on."),
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option("--workspace", help="The folder with wayline.yaml; left out: as for `wayline lint`."),
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Show what the checks of a workspace find in a text, with the law behind it and what to write instead.

    With --channel the text is shown as that channel's platform shows it; with --content, the texts of a
    content on every channel. Exit 0 when nothing blocks, 1 when something does.

    Example: wayline check "全网最低价的面霜" --channel sms
    """
    from engine.delivery.examining import examine
    from engine.delivery.limits import Limits

    body = "" if content and text is None and file is None else _body(text, file)
    bundle = bundle_in(folder_of(folder))
    for name, known, what in ((channel, bundle.channels, "channel"), (purpose, bundle.purposes, "purpose")):
        if name and name not in known:
            raise CommandError(f"there is no {what} {name!r}: {nearest(name, known) or known_list(known)}")
    if content:
        if text is not None or file is not None or subject:
            raise CommandError("--content stands for the text: give one of the two")
        _check_content(bundle, content, channel, purpose, locale, output)
    draft = Draft(body, subject, locale=locale or bundle.workspace.locales[0])
    found = examine(
        draft,
        bundle,
        load_registry().checks,
        channel=channel,
        purpose=purpose,
        timeout=Limits().check,
        now=SystemClock().now(),
    )
    if output is Format.JSON:
        print_json(found.as_data())
        raise typer.Exit(0 if found.passes else 1)
    show_examination(found)
    raise typer.Exit(0 if found.passes else 1)


def _check_content(
    bundle: Bundle, content: str, channel: str, purpose: str, locale: str, output: Format
) -> NoReturn:
    """Show each text of a content as it goes out on each channel that it is sent on."""
    from engine.delivery.examining import examine
    from engine.delivery.limits import Limits

    if content not in bundle.contents:
        hint = nearest(content, bundle.contents) or known_list(bundle.contents)
        raise CommandError(f"there is no content {content!r}: {hint}")
    uses = [
        each
        for each in sent_by_journeys(bundle)
        if each[0] == content and channel in ("", each[1]) and purpose in ("", each[2])
    ]
    if not uses and channel:
        uses = [(content, channel, purpose)]
    checks, passes, told = load_registry().checks, True, []
    for use in uses:
        for each in outgoing(bundle, *use):
            spec = each.spec
            if locale not in ("", spec.locale):
                continue
            draft = Draft(spec.body, spec.subject, spec.call_to_action, spec.locale)
            found = examine(
                draft,
                bundle,
                checks,
                channel=each.channel,
                purpose=each.purpose,
                timeout=Limits().check,
                now=SystemClock().now(),
                content=content,
            )
            passes = passes and found.passes
            head = {"channel": each.channel, "purpose": each.purpose, "locale": spec.locale}
            told.append({**head, "plain": each.is_plain, **found.as_data()})
            if output is Format.TEXT:
                whose = ", without anything personal" if each.is_plain else ""
                typer.echo(typer.style(f"{each.channel}, {spec.locale}, {each.purpose}{whose}", bold=True))
                show_text(found.draft)
                show_examination(found, with_text=False)
    if output is Format.JSON:
        print_json({"content": content, "passes": passes, "texts": told})
    elif not told:
        typer.echo(f"no journey sends {content}; name a channel with --channel")
    raise typer.Exit(0 if passes else 1)


def show_text(draft: Draft) -> None:
    """The parts of a text, indented."""
    for part in PARTS:
        if written := str(getattr(draft, part)):
            typer.echo("\n".join(f"  {shown(line)}" for line in written.splitlines()))


def show_examination(found: Examination, *, with_text: bool = True) -> None:
    """What was found, part by part, and the verdict."""
    if found.adapted and with_text:
        typer.echo(f"as it goes out ({', '.join(found.adapted)}):")
        show_text(found.draft)
    for part in PARTS:
        findings = [each.finding for each in found.found if each.finding.part == part]
        written = getattr(found.draft, part)
        if findings and len(written) <= LONGEST_LINE:
            spans = [(each.start, each.end, each.severity) for each in findings if each.start < each.end]
            typer.echo(_highlighted(written, spans))
        for each in findings:
            head = typer.style(each.severity.value, fg=COLOURS[each.severity], bold=True)
            place = f"{part} {each.start}-{each.end}"
            typer.echo(f"  {head} {place} {shown(written[each.start : each.end][:60])}: {shown(each.rule)}")
            typer.echo(f"      {each.code}: {shown(each.message)}")
            if each.suggestion:
                typer.echo(f"      {shown(each.suggestion)}")
    scores = ", ".join(f"{name} {score}" for name, score in found.scores.items())
    if found.unscored:
        scores += f"{'; ' if scores else ''}not looked at: {', '.join(found.unscored)}"
    looked = f"{len(found.checks)} {'check' if len(found.checks) == 1 else 'checks'}"
    verdict = "passes" if found.passes else "is blocked"
    typer.echo(f"{verdict}: {len(found.found)} found by {looked}{f' ({scores})' if scores else ''}")


def _body(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise CommandError("give the text, or --file with its name")
    try:
        if file is not None:
            return file.read_text(encoding="utf-8")
        return sys.stdin.buffer.read().decode() if text == "-" else str(text)
    except UnicodeDecodeError as error:
        raise CommandError(f"the text is not UTF-8: byte {error.start} cannot be read") from None


def _highlighted(text: str, spans: list[tuple[int, int, Severity]]) -> str:
    """The text with ⟦ ⟧ around what was found, in colour on a terminal; of spans that overlap the gravest,
    and of those the shortest."""
    gravity = list(COLOURS)
    kept: list[tuple[int, int, Severity]] = []
    for span in sorted(spans, key=lambda each: (gravity.index(each[2]), each[1] - each[0], each[0])):
        if all(span[1] <= start or end <= span[0] for start, end, _ in kept):
            kept.append(span)
    pieces, at = [], 0
    for start, end, severity in sorted(kept):
        marked = typer.style(f"⟦{shown(text[start:end])}⟧", fg=COLOURS[severity])
        pieces += [shown(text[at:start]), marked]
        at = end
    return "".join([*pieces, shown(text[at:])])
