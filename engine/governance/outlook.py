"""What a publish would mean for people on their way: counted in the runs table, told before it is done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.comparing import is_same_journey
from engine.authoring.compiling.reaching import exits
from engine.errors import CommandError, NotFound, RulesetError
from engine.governance.records import Record
from engine.journeys.migrating import Destination, How, destination
from engine.journeys.program import InFlight, Program, Send, StepId
from engine.store.bulk import is_one_of
from engine.store.bundles import BundleShelf
from engine.store.in_flight import Order, bundle_for
from engine.store.tables import BundleRow, ControlRow, OverlayRow, RunRow

POLICIES = tuple(InFlight)


@dataclass(frozen=True)
class Fate:
    """What a publish would mean for the people who stand at one step of one earlier version."""

    bundle: str
    """Hash of the bundle they are on."""
    number: int | None
    """The latest number it was published under."""
    step: StepId | None
    """None: before the first."""
    people: int
    migrated: Destination
    """Where they would go if they were taken over."""
    stays_same: bool
    """Whether the new version differs in nothing that concerns them."""
    silenced: tuple[str, ...] = ()
    """Sends ahead of them on their own version that the new bundle has no channel or purpose for."""
    suggestion: str = ""
    """For who would be stranded: the first step on their way that the new version still has, or `end`."""


@dataclass(frozen=True)
class JourneyOutlook:
    """One journey in a publish."""

    journey: str
    policy: InFlight
    said_by: str
    """command | file | default"""
    is_there: bool
    """Whether the new bundle has the journey."""
    fates: tuple[Fate, ...]
    left: frozenset[str] = frozenset()
    """Hashes of the bundles whose people the policy concerns."""

    @property
    def people(self) -> int:
        return sum(fate.people for fate in self.fates)

    @property
    def stranded(self) -> tuple[Fate, ...]:
        """Those who would have nowhere to go."""
        if self.policy is not InFlight.MIGRATE:
            return ()
        return tuple(
            fate for fate in self.fates if fate.bundle in self.left and fate.migrated.how is How.STRANDED
        )

    def becomes(self, fate: Fate, policy: InFlight | None = None) -> Destination:
        """What becomes of people under the policy, or under another one."""
        match policy or self.policy:
            case InFlight.END:
                return Destination(How.ENDS, None, "policy")
            case InFlight.MIGRATE if policy is not None or fate.bundle in self.left:
                return fate.migrated
        return Destination(How.STAYS, fate.step, "own version")

    @property
    def order(self) -> Order | None:
        """What is to be done about them, without the bundle they go to; None: nothing."""
        if self.policy is InFlight.PIN or not self.left:
            return None
        return Order(self.policy, "", self.left)


@dataclass(frozen=True)
class Standing:
    """People who stand at one step of a journey, in one bundle."""

    bundle: str
    position: str | None
    people: int


def orders_said(people: Iterable[JourneyOutlook]) -> dict[str, Order | None]:
    """Journey -> what a publish orders about its people; None: to leave them where they are."""
    return {
        each.journey: each.order for each in people if each.order is not None or each.said_by == "command"
    }


def look_ahead(
    session: Session,
    shelf: BundleShelf,
    control: ControlRow,
    wanted: Bundle,
    policies: Mapping[str, InFlight],
    *,
    told: bool = True,
    only: Collection[str] | None = None,
) -> list[JourneyOutlook]:
    """Every journey with people on their way in other bundles, or with a policy of its own, by id.

    `policies` are those of the command. With `told` everything is looked up that is shown to people; without
    it, only what decides whether and how it can be published; with `only`, only these journeys are looked at.
    CommandError when a policy names no journey.
    """
    standing = _standing(session, wanted.hash, only)
    if only is None:
        _check_names(policies, {*wanted.programs, *standing, *_live_journeys(session, shelf, control)})
    numbers = _numbers(session)

    def bundle_of(hash_: str) -> Bundle | None:
        try:
            return shelf.get(session, hash_)
        except (NotFound, RulesetError):
            return None

    def goes_to(plans: Sequence[str]) -> str:
        return bundle_for(session, Order(InFlight.MIGRATE, wanted.hash, frozenset()), plans)

    live = frozenset({control.live_bundle, control.published_bundle} - {None})
    look = Look(wanted, {hash_ for hash_ in live if hash_ is not None}, bundle_of, goes_to, numbers)
    journeys = {*wanted.programs, *standing, *policies} if only is None else only
    return look.outlooks(sorted(journeys), standing, policies, told=told)


@dataclass(frozen=True)
class Look:
    """What putting a bundle in force would mean, whoever knows of the people and of their bundles."""

    wanted: Bundle
    live: Collection[str]
    """Hashes of what is in force."""
    bundle_of: Callable[[str], Bundle | None]
    """The bundle with a hash; None where it cannot be read any more."""
    goes_to: Callable[[Sequence[str]], str]
    """Hash of the bundle that somebody would be taken over to who entered while these plans were on."""
    numbers: Mapping[str, int] = field(default_factory=dict)
    """Hash -> the latest number a bundle was published under."""

    def outlooks(
        self,
        journeys: Iterable[str],
        standing: Mapping[str, Sequence[Standing]],
        policies: Mapping[str, InFlight],
        *,
        told: bool,
    ) -> list[JourneyOutlook]:
        """Those of the journeys with people on their way in other bundles, or with a policy of their own."""
        found = (
            _LookAt(self, each).outlook(standing.get(each, ()), policies.get(each), told=told)
            for each in journeys
        )
        return [each for each in found if each.fates or each.left or each.said_by == "command"]


@dataclass(frozen=True)
class _LookAt:
    """One journey."""

    look: Look
    journey: str

    def outlook(self, standing: Sequence[Standing], asked: InFlight | None, *, told: bool) -> JourneyOutlook:
        wanted = self.look.wanted
        program = wanted.programs.get(self.journey)
        policy, said_by = InFlight.PIN, "default"
        if asked is not None:
            policy, said_by = asked, "command"
        elif program is not None and program.in_flight is not InFlight.PIN:
            policy, said_by = program.in_flight, "file"
        pinned = {each.bundle for each in standing}
        if policy is not InFlight.PIN:
            # Somebody who enters at this very moment is still on one of these.
            pinned |= {hash_ for hash_ in self.look.live if hash_ != wanted.hash and self._has(hash_)}
        left = frozenset[str]()
        if policy is not InFlight.PIN:
            left = frozenset(h for h in pinned if said_by == "command" or not self._is_same(h))
        needs_all = told or policy is InFlight.MIGRATE
        fates = tuple(self._fate(each, whole=needs_all, told=told) for each in standing)
        return JourneyOutlook(self.journey, policy, said_by, program is not None, fates, left)

    def _fate(self, each: Standing, *, whole: bool, told: bool) -> Fate:
        number = self.look.numbers.get(each.bundle)
        old = self._program(each.bundle) if whole else None
        new = self._goes_to(each.bundle) if whole else None
        if not whole:
            return Fate(each.bundle, number, each.position, each.people, Destination(How.STAYS), False)
        if old is None or new is None:
            because = "journey" if old is not None else "unreadable"
            where = Destination(How.STRANDED, None, because)
            silenced = tuple(self._silenced(old, each.position)) if told and old is not None else ()
            return Fate(each.bundle, number, each.position, each.people, where, False, silenced)
        where = destination(old, new, each.position)
        return Fate(
            each.bundle,
            number,
            each.position,
            each.people,
            where,
            self._is_same(each.bundle),
            tuple(self._silenced(old, each.position)) if told else (),
            _suggested(old, new, each.position) if where.how is How.STRANDED else "",
        )

    def _program(self, hash_: str) -> Program | None:
        bundle = self.look.bundle_of(hash_)
        return bundle.programs.get(self.journey) if bundle is not None else None

    def _has(self, hash_: str) -> bool:
        return self._program(hash_) is not None

    def _goes_to(self, hash_: str) -> Program | None:
        """The program that people on a bundle would be taken over to."""
        bundle = self.look.bundle_of(hash_)
        if bundle is not None and bundle.plans_on:
            to = self.look.goes_to(bundle.plans_on)
            if to != self.look.wanted.hash and (overlaid := self._program(to)) is not None:
                return overlaid
        return self.look.wanted.programs.get(self.journey)

    def _is_same(self, hash_: str) -> bool:
        bundle = self.look.bundle_of(hash_)
        return bundle is not None and is_same_journey(bundle, self.look.wanted, self.journey)

    def _silenced(self, program: Program, position: StepId | None) -> Iterator[str]:
        """Sends ahead of somebody that could not leave any more: channels and purposes are those in force."""
        for step in _ahead(program, position):
            if isinstance(step, Send) and (
                step.purpose not in self.look.wanted.purposes
                or not any(channel in self.look.wanted.channels for channel in step.channels)
            ):
                yield step.id


def _ahead(program: Program, position: StepId | None) -> Iterator[object]:
    """Every step that somebody may still come to, nearest first, the one where they stand included."""
    seen: dict[StepId, None] = {}
    coming = [position if position is not None else program.first]
    while coming:
        name = coming.pop(0)
        if name is None or name in seen or name not in program.steps:
            continue
        seen[name] = None
        yield program.steps[name]
        coming += exits(program.steps[name])


def _suggested(old: Program, new: Program, position: StepId | None) -> str:
    for step in _ahead(old, position):
        name: StepId = getattr(step, "id", "")
        if name != position and name in new.steps:
            return name
    return "end"


def _standing(
    session: Session, wanted: str, only: Collection[str] | None = None
) -> dict[str, list[Standing]]:
    """Journey -> how many people stand where, those who are on the wanted bundle already left out."""
    overlays = select(col(OverlayRow.hash)).where(col(OverlayRow.base) == wanted)
    query = (
        select(col(RunRow.journey), col(RunRow.bundle_hash), col(RunRow.position), func.count())
        .where(
            col(RunRow.ended_at).is_(None),
            col(RunRow.bundle_hash) != wanted,
            col(RunRow.bundle_hash).not_in(overlays),
        )
        .group_by(col(RunRow.journey), col(RunRow.bundle_hash), col(RunRow.position))
        .order_by(col(RunRow.journey), col(RunRow.bundle_hash), col(RunRow.position))
    )
    if only is not None:
        query = query.where(is_one_of(session, RunRow.journey, only))
    found: dict[str, list[Standing]] = {}
    for journey, bundle, position, people in session.execute(query).all():
        found.setdefault(journey, []).append(Standing(bundle, position, int(people)))
    return found


def _numbers(session: Session) -> dict[str, int]:
    """Hash -> the latest number a bundle was published under; one with plans on has its base's number."""
    query = select(col(BundleRow.hash), func.max(col(BundleRow.number))).group_by(col(BundleRow.hash))
    numbers = {hash_: int(number) for hash_, number in session.execute(query).all()}
    for overlay in session.scalars(select(OverlayRow)):
        if overlay.base in numbers:
            numbers[overlay.hash] = numbers[overlay.base]
    return numbers


def _live_journeys(session: Session, shelf: BundleShelf, control: ControlRow) -> frozenset[str]:
    if control.live_bundle is None:
        return frozenset()
    try:
        return frozenset(shelf.get(session, control.live_bundle).programs)
    except (NotFound, RulesetError):
        return frozenset()


def _check_names(policies: Mapping[str, InFlight], known: set[str]) -> None:
    for journey in policies:
        if journey not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise CommandError(f"--policy names {journey!r}, which is no journey; known are {listed}")


def policies_of(given: Mapping[str, str]) -> dict[str, InFlight]:
    """The policies that a command names; CommandError for a word that is none."""
    found = {}
    for journey, word in given.items():
        if word not in POLICIES:
            raise CommandError(f"{word!r} is no policy for {journey!r}: pin, migrate, drain or end")
        found[journey] = InFlight(word)
    return found


def as_record(outlook: JourneyOutlook) -> Record:
    """The outlook as a JSON object."""
    return {
        "journey": outlook.journey,
        "policy": outlook.policy.value,
        "said_by": outlook.said_by,
        "people": outlook.people,
        "stranded": sum(fate.people for fate in outlook.stranded),
        "at": [
            {
                "bundle": fate.bundle,
                "number": fate.number,
                "step": fate.step,
                "people": fate.people,
                "becomes": _told(outlook.becomes(fate)),
                "policies": {
                    each.value: _told(outlook.becomes(fate, each))
                    for each in POLICIES
                    if outlook.is_there or each is not InFlight.MIGRATE
                },
                "silenced": list(fate.silenced),
                **({"suggestion": fate.suggestion} if fate.suggestion else {}),
            }
            for fate in outlook.fates
        ],
    }


def _told(where: Destination) -> Record:
    return {"how": where.how.value, "step": where.step, "because": where.because}
