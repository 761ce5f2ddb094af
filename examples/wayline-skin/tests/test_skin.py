"""The fact, the event types and the metric keep the contract."""

from __future__ import annotations

import wayline_skin

from engine.plugin.testing import check_event_kind, check_fact, check_metric, check_plugin


def test_the_plugin_loads() -> None:
    check_plugin(wayline_skin)


def test_the_season_follows_from_the_year_of_birth() -> None:
    (fact,) = wayline_skin.register_facts()
    years = {2001: "spring", 1985: "summer", 1960: "autumn", 3: None}
    check_fact(fact, examples=[({"birth_year": year}, wanted) for year, wanted in years.items()])


def test_a_test_at_the_counter_is_taken_in() -> None:
    kind, rated = wayline_skin.register_event_types()
    check_event_kind(rated, examples=[{"helped": True}, {}])
    check_event_kind(kind, examples=[{"moisture": 41.5, "counter": "Nanjing Road"}, {"moisture": 0}])


def test_advice_that_did_not_help_counts_against() -> None:
    (metric,) = wayline_skin.register_metrics()
    check_metric(
        metric,
        examples=[
            ("advice_rated", {"helped": False}, True),
            ("advice_rated", {"helped": True}, False),
            ("advice_rated", {"helped": "a little"}, None),
        ],
    )
