"""`wayline up`, and the parts it is made of apart: `api`, `dispatch`, `worker`."""

from __future__ import annotations

import asyncio
import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from engine.authoring.reporting import report
from engine.cli.workspaces import load_workspace
from engine.errors import CommandError, RulesetError
from engine.governance.keys import Keys, ensure_keys
from engine.governance.publishing import prove_rules, publish
from engine.journeys.lanes import Lane
from engine.logs import set_up_logs
from engine.settings import Settings
from engine.store.control import ensure_control, read_control
from engine.store.database import upgrade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.cli.serving import Part
    from engine.services import EmbeddedServer, Services

_log = structlog.get_logger(__name__)


def register(app: typer.Typer) -> None:
    """Add the commands that run processes."""
    app.command(name="up")(up)
    app.command(name="api")(api)
    app.command(name="dispatch")(dispatch)
    app.command(name="worker")(worker)


def up() -> None:
    """Run everything on this machine, in this terminal, until Ctrl-C.

    The first time, it makes the database, publishes the workspace and prints the write key and the operator
    token once. A second `up` on the same data goes on where the first one stopped.

    Example: wayline up
    """
    settings = Settings()
    # Somebody who watches a terminal reads lines, unless the format was asked for.
    is_watched = sys.stderr.isatty() and "log_format" not in settings.model_fields_set
    set_up_logs("console" if is_watched else settings.log_format)
    with _alone(settings):
        asyncio.run(_up(settings))


def api() -> None:
    """Run the HTTP server: intake, and what operators ask and change.

    Example: WAYLINE_DATABASE_URL=postgresql://… wayline api
    """
    from engine.cli.listening import api_part

    _run_one("api", api_part)


def dispatch() -> None:
    """Run the dispatcher: starts and wakes runs, delivers what was held and is due.

    Example: WAYLINE_DATABASE_URL=postgresql://… WAYLINE_TEMPORAL_ADDRESS=temporal:7233 wayline dispatch
    """
    from engine.cli.serving import dispatch_part

    _run_one("dispatch", dispatch_part)


def worker(
    queue: Annotated[
        list[Lane] | None,
        typer.Option("--queue", help="Only runs of this lane; may be given again. Left out: of all lanes."),
    ] = None,
) -> None:
    """Run a worker: carries the runs that wait in Temporal, each lane apart from the others.

    A journey is `urgent` with a priority of 80 or more, or a message that has to leave within a minute;
    `bulk` when people enter by schedule or audience; `human` while a person is asked; else `normal`.

    Example: WAYLINE_DATABASE_URL=postgresql://… WAYLINE_TEMPORAL_ADDRESS=temporal:7233 wayline worker
    """
    from engine.cli.serving import worker_part

    lanes = tuple(dict.fromkeys(queue or Lane))
    _run_one("worker", lambda services: worker_part(services, lanes))


def make_keys(services: Services) -> Keys:
    """Put the keys in force, the control row with them; returns those that were made just now."""
    settings = services.settings
    write_key = settings.write_key.get_secret_value() if settings.write_key else None
    token = settings.operator_token.get_secret_value() if settings.operator_token else None
    with services.store.begin() as session:
        ensure_control(session, services.clock.now(), scale=settings.time_scale)
        keys = ensure_keys(session, write_key=write_key, operator_token=token)
    return Keys(None if write_key else keys.write_key, None if token else keys.operator_token)


def publish_first(services: Services) -> None:
    """Put the workspace in force when nothing is yet; say so when its files differ from what is in force.

    RulesetError when nothing is in force and the workspace holds a mistake.
    """
    folder = services.settings.workspace_folder
    with services.store.read() as session:
        live = read_control(session).live_bundle
    if not folder.is_dir():
        if live is not None:
            return
        raise CommandError(
            f"there is no workspace at {folder}: `wayline init {folder}` makes one, "
            "or set WAYLINE_WORKSPACE to the folder with wayline.yaml"
        )
    loaded = load_workspace(folder, services.registry)
    if live is not None:
        if loaded.bundle is not None and loaded.bundle.hash != live:
            typer.echo(f"The files in {folder} differ from what is in force: `wayline publish {folder}`.")
        return
    if loaded.bundle is None:
        raise RulesetError(loaded.problems)
    typer.echo(report(loaded.problems), err=True, nl=False)
    prove_rules(loaded.bundle)
    with services.store.begin() as session:
        published = publish(session, loaded.bundle.files, by="wayline up", now=services.clock.now())
    typer.echo(f"Published {folder} as bundle {published.number}.")


async def _up(settings: Settings) -> None:
    from engine.cli.listening import api_part
    from engine.cli.serving import dispatch_part, keep_alive_part, stopped_by_signals, worker_part
    from engine.cli.serving import run_parts as run
    from engine.services import build_services, load_driver_module

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    durable = load_driver_module()
    durable.measure()
    async with stopped_by_signals() as stop:
        await asyncio.to_thread(upgrade, settings.database)
        server = None if settings.temporal_address else durable.embedded_server(settings)
        services = build_services(settings)
        try:
            keys = await asyncio.to_thread(make_keys, services)
            await asyncio.to_thread(publish_first, services)
            parts: dict[str, Part] = {"api": api_part(services)}
            async with _running(server):
                parts |= {"dispatch": dispatch_part(services), "worker": worker_part(services)}
                if server is not None:
                    parts["temporal"] = keep_alive_part(server)
                _greet(settings, server)
                _show(keys)
                if settings.write_key is None and keys.write_key is None:
                    typer.echo("Write key       as before; if it is lost, set WAYLINE_WRITE_KEY to a new one")
                typer.echo("Ctrl-C stops everything; what waits, waits on.")
                await run(parts, stop)
        finally:
            await services.close()
    typer.echo("Stopped. Everything that waits goes on with the next `wayline up`.")


@asynccontextmanager
async def _running(server: EmbeddedServer | None) -> AsyncIterator[None]:
    """The embedded server, if any, while the block runs; stopped last, so that the worker can say goodbye."""
    if server is None:
        yield
        return
    address = await server.start()
    _log.info("temporal started", address=address)
    try:
        yield
    finally:
        await server.stop()


def _greet(settings: Settings, server: EmbeddedServer | None) -> None:
    workflows = server.ui_url if server is not None else settings.temporal_address
    typer.echo(f"HTTP            {settings.own_address}  (intake POST /v1/batch, documentation /docs)")
    typer.echo(f"Workflows       {workflows}")
    typer.echo(f"Data            {settings.data_dir.resolve()}")


def _show(keys: Keys) -> None:
    if keys.write_key:
        typer.echo(f"Write key       {keys.write_key}  (shown once)")
    if keys.operator_token:
        typer.echo(f"Operator token  {keys.operator_token}  (shown once)")


def _run_one(name: str, part_of: Callable[[Services], Part]) -> None:
    settings = Settings()
    set_up_logs(settings.log_format)
    asyncio.run(_run_part(settings, name, part_of))


async def _run_part(settings: Settings, name: str, part_of: Callable[[Services], Part]) -> None:
    from engine.cli.serving import run_parts, stopped_by_signals
    from engine.services import build_services, load_driver_module

    if name == "api" or settings.health_port is not None:
        load_driver_module().measure()
    async with stopped_by_signals() as stop:
        services = build_services(settings)
        try:
            if name == "api":
                _show(await asyncio.to_thread(make_keys, services))
            parts = {name: part_of(services)}
            if name != "api" and settings.health_port is not None:
                from engine.cli.listening import health_part

                parts["health"] = health_part(services, settings.health_port)
            _log.info("started", process=name)
            await run_parts(parts, stop)
            _log.info("stopped", process=name)
        finally:
            await services.close()


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the data folder; a second `up` over it would fight for the same files. Let go even when killed."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"another `wayline up` is running over {settings.data_dir}") from error
        yield
