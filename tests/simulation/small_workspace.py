"""A small workspace and its three people, in which drivers are compared: all but its journeys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from engine.simulation.people import Person
from tests.simulation.small_journeys import JOURNEYS

START = datetime(2026, 3, 27, 3, 0, tzinfo=UTC)  # two days before Berlin changes its clocks
DAY = timedelta(days=1)
PEOPLE = (
    Person("ann", {"email": "ann@example.com"}, consents=("marketing",), timezone="Europe/Berlin"),
    Person(
        "bob",
        {"email": "bob@example.com", "app": "bob-1"},
        consents=("marketing",),
        attributes={"quiet_time": "12:00-14:00, 17:00-18:30", "country": "DE"},
    ),
    Person("eve", {"app": "eve-1"}),
)

FILES: Mapping[str, str] = {
    "wayline.yaml": """
        kind: workspace
        id: here
        title: here
        owner: us
        timezone: Asia/Shanghai
        locales: [en]
        identities: [email, app]
        attributes: {quiet_time: {type: text}, country: {type: text}}
        residence: {attribute: country}
        """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 2d}
          - {id: service, title: service, version: "1", kind: transactional, max_hold: 1d}
        """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: us
        channels:
          - {id: email, plugin: recording, identity: email, settings: {}}
          - {id: app, plugin: recording, identity: app, settings: {}}
        """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - id: text
            locales:
              en: {subject: Hello, body: Good morning}
          - {id: present, value: 2.5, locales: {en: {subject: A present, body: For you}}}
        """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: us
        events:
          - {id: added, title: added, schema: {type: object}}
          - {id: viewed, title: viewed, schema: {type: object, properties: {price: {type: number}}}}
          - id: paid
            title: paid
            effect: order
            schema: {type: object, properties: {amount: {type: number}, order_id: {type: string}}}
        """,
    "caps.yaml": """
        kind: caps
        id: caps
        title: caps
        owner: us
        caps:
          - id: one_a_day
            counts: {purpose: marketing}
            limit: 1
            window: {calendar: day, timezone: contact}
            when_full: defer
            max_defer: 36h
            look_ahead: 9h
          - id: four_a_week
            counts: {purpose: marketing}
            limit: 4
            window: {rolling: 7d}
            when_full: skip
            look_ahead: 2d
          - {id: breathing, counts: {purpose: marketing}, min_gap: 4h, when_full: defer}
          - id: app_quota
            counts: {channels: [app]}
            limit: 3
            window: {calendar: week, timezone: workspace}
            when_full: next_channel
            quota: {source: the platform's page, as_of: "2026-03-01"}
          - id: same_text
            counts: {contents: [text], journeys: [nag]}
            limit: 2
            window: {rolling: 5d}
            when_full: skip
          - {id: wins, counts: {journeys: [win_back]}, limit: 2, window: {rolling: 6d}, when_full: skip}
        tolerance:
          pause_after_silence: {after: 5d, for: 4d}
          scale:
            - {when: {contact.activity: frequent}, factor: 1.5}
            - {when: {contact.average_order_value: {lt: 30}}, factor: 0.5}
        """,
    "nights.yaml": """
        kind: quiet_hours
        id: nights
        title: nights
        owner: us
        quiet_hours:
          - id: night
            because: law
            holds_back: {kinds: [marketing]}
            countries: [DE, CN]
            from: "21:30"
            until: "08:00"
            spread: 45m
            source: a law
            as_of: "2026-03-01"
          - {id: own, because: contact, holds_back: {contents: [text]}, wish: quiet_time}
          - id: sunday
            because: courtesy
            holds_back: {channels: [app]}
            except: {purposes: [service]}
            from: "00:00"
            until: "00:00"
            weekdays: [sun]
            when_quiet: next_channel
        """,
    "tags.yaml": """
        kind: tags
        id: tags
        title: tags
        owner: us
        counts:
          - {id: views_2d, of: {event: viewed}, within: 2d}
        scores:
          - id: recency
            of: contact.last_order_at
            bands: [{within: 2d, score: 5}, {within: 6d, score: 3}]
            else: 1
        classes:
          - id: activity
            cases:
              - {is: frequent, when: {contact.views_2d: {gte: 2}}}
              - {is: silent, when: {contact.last_active_at: {older_than: 4d}}}
            else: normal
          - {id: stage, cases: [{is: growing, when: {contact.recency: {gte: 3}}}], else: new}
        tags:
          - {tag: big, level: value, when: {contact.total_spent: {gte: 100}}}
          - {tag: keen, level: behaviour, when: {contact.activity: frequent}}
        """,
    "quiet.yaml": """
        kind: audience
        id: quiet
        title: quiet
        owner: us
        when: [{contact.activity: silent}, {contact.sends_since_active: {lt: 3}}]
        """,
    "eager.yaml": """
        kind: audience
        id: eager
        title: eager
        owner: us
        when: [{contact.tags: {has: keen}}, {contact.tags: {lacks: asked}}]
        """,
    **JOURNEYS,
}
