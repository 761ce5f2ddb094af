"""`wayline task`: what journeys have given to people, and what those decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.database import read, who, write
from engine.cli.output import Format, FormatOption, print_fields, print_json, print_table, shown
from engine.journeys.run import TaskState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.governance.tasks import Page
    from engine.store.bundles import BundleShelf

Task = Annotated[str, typer.Argument(metavar="ID", help="As `wayline task list` shows it.")]
_COLUMNS = {
    TaskState.OPEN: ["id", "queue_title", "priority", "due_at", "question", "contact_id", "journey"],
    TaskState.DECIDED: ["id", "queue_title", "closed_at", "choice", "decided_by", "contact_id", "journey"],
    TaskState.EXPIRED: ["id", "queue_title", "closed_at", "question", "contact_id", "journey"],
    TaskState.WITHDRAWN: ["id", "queue_title", "closed_at", "reason", "contact_id", "journey"],
}


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    task = typer.Typer(no_args_is_help=True, help="Tasks that journeys give to people.")
    task.command("list")(list_tasks)
    task.command("show")(show_task)
    task.command("decide")(decide)
    app.add_typer(task, name="task")


def list_tasks(
    queue: Annotated[str | None, typer.Option(help="Only this queue of wayline.yaml.")] = None,
    state: Annotated[TaskState, typer.Option(help="Open ones first come first; others the latest first.")] = (
        TaskState.OPEN
    ),
    journey: Annotated[str | None, typer.Option(help="Only this journey.")] = None,
    contact: Annotated[
        str | None, typer.Option(help="Only this contact: an id, or an identity as user:42.")
    ] = None,
    after: Annotated[str | None, typer.Option(help="Go on after this task: the last one shown.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 50,
    output: FormatOption = Format.TEXT,
) -> None:
    """List tasks: the open ones in the order in which they are to be worked off.

    Example: wayline task list --queue support
    """
    from engine.clock import SystemClock
    from engine.governance import tasks
    from engine.governance.records import find_contact

    def look(session: Session, shelf: BundleShelf) -> Page:
        return tasks.list_tasks(
            session,
            shelf,
            SystemClock().now(),
            state=state,
            queue=queue,
            journey=journey,
            contact_id=find_contact(session, contact) if contact else None,
            after=after,
            limit=limit,
        )

    page = read(look)
    if output is Format.JSON:
        print_json({"tasks": page.tasks, "next": page.next})
        return
    print_table(page.tasks, _COLUMNS[state], nothing=f"no {state.value} tasks")
    if page.next is not None:
        typer.echo(f"more: --after {page.next}")


def show_task(task_id: Task, output: FormatOption = Format.TEXT) -> None:
    """Show a task: the question with its answers, the contact, what brought them in, what was decided before;
    of one to bring a message, whom it goes to and its text.

    Example: wayline task show 3f6c0d5b2a9e4f718c0b1d2e3f405162
    """
    from engine.clock import SystemClock
    from engine.governance import tasks

    record = read(lambda session, shelf: tasks.task_record(session, shelf, task_id, SystemClock().now()))
    if output is Format.JSON:
        print_json(record)
        return
    tables = {"choices": ["id", "title"], "decisions": ["at", "kind", "verdict", "channel", "reason"]}
    message = record.pop("message", None)
    print_fields(record, tables)
    if message is not None:
        typer.echo("\nmessage")
        print_fields({name: message[name] for name in ("channel", "to", "link")})
        typer.echo("\ntext to copy")
        for line in message["text"].splitlines():
            typer.echo(shown(line))


def decide(
    task_id: Task,
    choice: Annotated[str, typer.Argument(help="Id of the answer, as `wayline task show` lists them.")],
    note: Annotated[str, typer.Option(help="What else is to be known, for whoever reads the task.")] = "",
    key: Annotated[
        str | None, typer.Option(help="Names this decision: the same one again does nothing.")
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Decide a task; its run goes on that way, or its message is said to be delivered or not.

    Refused once somebody else has decided, or its time is up.

    Example: wayline task decide 3f6c0d5b2a9e4f718c0b1d2e3f405162 solved --note "refund agreed"
    """
    from engine.runs import deciding
    from engine.services import secret_of
    from engine.settings import Settings

    secret = secret_of(Settings())
    decision = write(
        lambda session, shelf, now: deciding.decide(
            session, task_id, choice, by=who(), now=now, key=key, note=note, secret=secret, shelf=shelf
        )
    )
    if output is Format.JSON:
        told = vars(decision) | {"decided_at": decision.decided_at.isoformat()}
        told["repeated"] = told.pop("is_repeat")
        print_json(told)
        return
    again = ", as before" if decision.is_repeat else ""
    typer.echo(f"decided{again}: {shown(decision.choice)} ({shown(decision.title)})")
