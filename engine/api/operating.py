"""What operators change: bundles, the kill switch, breakers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from engine.api.access import Asked, Operator, require_operator
from engine.authoring.loading import bundle_of
from engine.delivery import breakers
from engine.errors import CommandError
from engine.gate.stages import KILL_SCOPE
from engine.governance import control, publishing
from engine.governance.difference import difference, difference_record
from engine.governance.outlook import as_record, policies_of
from engine.governance.records import LONGEST_LIST, Record, breaker_record, plain
from engine.store.control import read_control

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]

router = APIRouter(prefix="/v1", tags=["operating"], dependencies=[Depends(require_operator)])


POLICIES = (
    "Journey -> pin (they finish on their version), migrate (they go over at their next safe point), drain "
    "(they finish, and nobody enters before) or end; left out: as the journey's file says."
)


class BundleFiles(BaseModel):
    """All files of a workspace."""

    files: dict[str, str] = Field(description="Relative path -> text.")
    policies: dict[str, str] = Field(default={}, description=POLICIES)


class Policies(BaseModel):
    """What becomes of people on their way."""

    policies: dict[str, str] = Field(default={}, description=POLICIES)


class BundleAnswer(BaseModel):
    """What is in force now."""

    number: int
    hash: str
    people: list[Record] = Field(description="What it means for people on their way, by journey.")


class KillRequest(BaseModel):
    """Whether nothing may be sent."""

    state: Literal["on", "off"]
    reason: str = Field(default="", max_length=500)


class KillAnswer(BaseModel):
    """The kill switch as it stands now."""

    state: Literal["on", "off"]
    changed: bool
    woken: int = Field(description="Held messages that are looked at again.")


class BreakerRequest(BaseModel):
    """Which scope of a breaker, and why."""

    scope: str = Field(examples=["channel:email"])
    level: Literal["yellow", "red"] = "red"
    reason: str = Field(default="", max_length=500)


class BreakerAnswer(BaseModel):
    """The breaker as it is published now."""

    state: str
    level: str | None
    epoch: int


@router.get("/bundles")
async def bundles(
    services: Asked, limit: Annotated[int, Query(ge=1, le=LONGEST_LIST)] = 50
) -> dict[str, list[Record]]:
    """What was published, the latest first."""

    def look() -> list[Record]:
        with services.store.read() as session:
            control = read_control(session)
            live = control.published_bundle or control.live_bundle
            rows = publishing.list_bundles(session, limit=limit)
            return [plain(row, without={"files"}) | {"in_force": row.hash == live} for row in rows]

    return {"bundles": await services.store.run(look)}


@router.post("/bundles", status_code=201)
async def publish(wanted: BundleFiles, services: Asked, operator: Operator) -> BundleAnswer:
    """Check these files and put them in force; 422 with every problem when they hold a mistake.

    Also when somebody on their way would be stranded (RS128).
    """
    policies = policies_of(wanted.policies)

    def put() -> publishing.Published:
        # Outside the transaction, as it takes a while; inside it is known already.
        publishing.prove_rules(bundle_of(wanted.files, services.registry))
        with services.store.begin() as session:
            return publishing.publish(
                session,
                wanted.files,
                by=operator,
                now=services.clock.now(),
                registry=services.registry,
                policies=policies,
                shelf=services.shelf,
            )

    return _answer(await services.store.run(put))


@router.get("/bundles/{number}/diff")
async def diff(
    number: Number,
    services: Asked,
    policy: Annotated[
        list[str] | None, Query(description="JOURNEY=POLICY, any number of them; as in `policies`.")
    ] = None,
) -> Record:
    """What putting this bundle in force would change, and what it would mean for people on their way."""
    policies = policies_of(dict(_pair(each) for each in policy or ()))

    def look() -> Record:
        with services.store.read() as session:
            wanted = services.shelf.get(session, publishing.bundle_row(session, number).hash)
            return difference_record(difference(session, services.shelf, wanted, policies))

    return await services.store.run(look)


@router.post("/bundles/{number}/rollback")
async def rollback(
    number: Number, services: Asked, operator: Operator, wanted: Policies | None = None
) -> BundleAnswer:
    """Put an earlier bundle in force again, under the next number; 422 when somebody would be stranded."""
    policies = policies_of(wanted.policies if wanted is not None else {})

    def put() -> publishing.Published:
        with services.store.begin() as session:
            return publishing.rollback(
                session,
                number,
                by=operator,
                now=services.clock.now(),
                policies=policies,
                shelf=services.shelf,
            )

    return _answer(await services.store.run(put))


def _answer(published: publishing.Published) -> BundleAnswer:
    people = [as_record(each) for each in published.people]
    return BundleAnswer(number=published.number, hash=published.hash, people=people)


def _pair(policy: str) -> tuple[str, str]:
    journey, equals, word = policy.partition("=")
    if not equals:
        raise CommandError(f"{policy!r} is not of the form JOURNEY=POLICY, as welcome=migrate")
    return journey, word


@router.post("/kill")
async def kill(wanted: KillRequest, services: Asked, operator: Operator) -> KillAnswer:
    """Stop all sending, or allow it again; every hand-over reads the switch in its own transaction."""

    def switch() -> KillAnswer:
        now = services.clock.now()
        with services.store.begin() as session:
            if wanted.state == "on":
                changed = control.kill(session, by=operator, reason=wanted.reason, now=now)
                return KillAnswer(state="on", changed=changed, woken=0)
            changed = control.unkill(session, by=operator, now=now)
            woken = services.delivery.wake_scope(session, KILL_SCOPE)
            return KillAnswer(state="off", changed=changed, woken=woken)

    return await services.store.run(switch)


@router.get("/breakers")
async def list_breakers(services: Asked) -> dict[str, list[Record]]:
    """Every breaker in every scope it can have, as the gate reads it, with the figure it watches."""

    def look() -> list[Record]:
        with services.store.read() as session:
            bundle, now = services.shelf.live(session), services.clock.now()
            return [breaker_record(*each) for each in breakers.read_breakers(session, bundle, now)]

    return {"breakers": await services.store.run(look)}


@router.post("/breakers/{breaker}/trip")
async def trip(breaker: str, wanted: BreakerRequest, services: Asked, operator: Operator) -> BreakerAnswer:
    """Open a breaker by hand: messages in its scope are held until it is reset."""

    def act() -> breakers.Look:
        with services.store.begin() as session:
            return breakers.trip(
                session,
                services.shelf,
                breaker,
                wanted.scope,
                level=wanted.level,
                by=operator,
                reason=wanted.reason,
                now=services.clock.now(),
            )

    return _published(await services.store.run(act))


@router.post("/breakers/{breaker}/reset")
async def reset(breaker: str, wanted: BreakerRequest, services: Asked, operator: Operator) -> BreakerAnswer:
    """Close a breaker by hand: what it held is looked at again, and its figures start anew."""

    def act() -> breakers.Look:
        with services.store.begin() as session:
            return breakers.reset(
                session,
                services.shelf,
                breaker,
                wanted.scope,
                by=operator,
                reason=wanted.reason,
                now=services.clock.now(),
            )

    return _published(await services.store.run(act))


def _published(look: breakers.Look) -> BreakerAnswer:
    return BreakerAnswer(state=look.state, level=look.level, epoch=look.epoch)
