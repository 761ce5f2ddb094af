"""What generators that ask somebody else may use in a day: tokens, and the money that they cost.

Both are taken before a text is asked for, as much as one may take at most, and given back in part when it is
known; a process that dies in between leaves them spent. No day's allowance is ever overrun.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, bindparam, select, update
from sqlalchemy.orm import Session

from engine.authoring.bundle import GeneratorConfig
from engine.store.bulk import insert_new, table_of
from engine.store.database import Store
from engine.store.tables import GeneratorDayRow, GeneratorSpendRow

_DAY = table_of(GeneratorDayRow)
_SPEND = table_of(GeneratorSpendRow)
TOKENS_SPENT, MONEY_SPENT = "budget_spent", "money_spent"


@dataclass(frozen=True)
class Taken:
    """What one text took of a day before it was asked for."""

    tokens: int = 0
    millionths: int = 0

    def unused(self, config: GeneratorConfig, tokens: int | None, answered: int | None) -> Taken:
        """What of it goes back, after a text that took `tokens`; None, where nobody counts: nothing does."""
        if tokens is None:
            return Taken()
        cost = 0 if config.price is None else config.price.of(tokens, answered)
        return Taken(self.tokens - tokens, self.millionths - cost)


class _SpentError(Exception):
    def __init__(self, because: str) -> None:
        self.because = because


def take(store: Store, config: GeneratorConfig, day: date, most: int) -> Taken | str:
    """Take tokens, and what they may cost, out of the day; or the word for what of it is spent."""
    money = 0 if config.price is None else config.price.most(most)
    try:
        with store.begin() as session:
            if not _take_tokens(session, config, day, most):
                raise _SpentError(TOKENS_SPENT)
            if not _take_money(session, config, day, money):
                raise _SpentError(MONEY_SPENT)
    except _SpentError as error:
        # The transaction is undone: who may not have the money leaves the tokens to others.
        return error.because
    return Taken(most, money)


def give_back(session: Session, config: GeneratorConfig, day: date, unused: Taken) -> None:
    """Put back what a text did not use; where it took more than it should have, that is taken as well."""
    if unused.tokens:
        session.execute(
            update(_DAY)
            .where(_DAY.c.generator == config.id, _DAY.c.day == day)
            .values(tokens=_DAY.c.tokens - bindparam("unused")),
            {"unused": unused.tokens},
        )
    if unused.millionths and config.price is not None:
        session.execute(
            update(_SPEND)
            .where(*_purse(config.id, day, config.price.currency))
            .values(millionths=_SPEND.c.millionths - bindparam("unused")),
            {"unused": unused.millionths},
        )


def used_on(session: Session, generator: str, day: date) -> int:
    """The tokens that a generator used on a day, and those that answers still to come may use."""
    query = select(_DAY.c.tokens).where(_DAY.c.generator == generator, _DAY.c.day == day)
    return session.scalars(query).first() or 0


def _take_tokens(session: Session, config: GeneratorConfig, day: date, most: int) -> bool:
    insert_new(session, GeneratorDayRow, [{"generator": config.id, "day": day, "tokens": 0, "texts": 0}])
    done = session.execute(
        update(_DAY)
        .where(
            _DAY.c.generator == config.id,
            _DAY.c.day == day,
            _DAY.c.tokens + bindparam("most") <= config.tokens_a_day,
        )
        .values(tokens=_DAY.c.tokens + bindparam("most"), texts=_DAY.c.texts + 1),
        {"most": most},
    )
    return int(getattr(done, "rowcount", 0)) == 1


def _take_money(session: Session, config: GeneratorConfig, day: date, most: int) -> bool:
    price = config.price
    if price is None:
        return True
    which = {"generator": config.id, "day": day, "currency": price.currency}
    insert_new(session, GeneratorSpendRow, [{**which, "millionths": 0}])
    done = session.execute(
        update(_SPEND)
        .where(
            *_purse(config.id, day, price.currency),
            _SPEND.c.millionths + bindparam("most") <= price.a_day,
        )
        .values(millionths=_SPEND.c.millionths + bindparam("most")),
        {"most": most},
    )
    return int(getattr(done, "rowcount", 0)) == 1


def _purse(generator: str, day: date, currency: str) -> tuple[ColumnElement[bool], ...]:
    return (_SPEND.c.generator == generator, _SPEND.c.day == day, _SPEND.c.currency == currency)
