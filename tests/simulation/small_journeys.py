"""The journeys and experiments of the small workspace: each step of the language, and each way in and out."""

from __future__ import annotations

from collections.abc import Mapping

JOURNEYS: Mapping[str, str] = {
    "win_back.yaml": """
        kind: journey
        id: win_back
        title: win back
        owner: us
        purpose: marketing
        priority: 30
        revival: true
        enter: {audience: {entered: quiet}, when: {contact.stage: {in: [new, growing]}}, reentry: always}
        leave: [{when: {contact.audiences: {lacks: quiet}}}]
        steps:
          - {send: miss_you, content: text, channels: [email, app]}
          - {wait: rest, for: 2d}
          - {send: again, content: text, channels: [app, email]}
        """,
    "ask.yaml": """
        kind: journey
        id: ask
        title: ask
        owner: us
        purpose: marketing
        priority: 50
        enter: {audience: {entered: eager}, reentry: always}
        steps:
          - {tag: mark, add: [asked]}
          - wait_for: gone
            event: audience_left
            when: {event.audience: eager}
            up_to: 3d
            then:
              - {tag: note, add: [answered]}
        """,
    "welcome.yaml": """
        kind: journey
        id: welcome
        title: welcome
        owner: us
        purpose: marketing
        priority: 60
        enter: {event: added, reentry: {after: 3d}}
        leave: [{when: {contact.tags: {has: greeted_twice}}}]
        goal: {event: paid, within: 4d}
        steps:
          - {send: hello, content: text, channels: [email, app]}
          - {wait: overnight, days: 1, at: "10:00"}
          - send: guide
            content: text
            channels: [app, email]
            outcomes:
              capped:
                - {tag: unlucky, add: [unlucky]}
          - wait_for: look
            event: viewed
            when: {event.price: {gte: 50}}
            up_to: 2d
            then:
              - {send: picks, content: text, channels: [email]}
            otherwise:
              - {tag: note, add: [greeted_twice]}
          - {wait: more, for: 5h}
        """,
    "repurchase.yaml": """
        kind: journey
        id: repurchase
        title: repurchase
        owner: us
        purpose: marketing
        priority: 40
        enter: {event: paid, when: {event.amount: {gt: 10}}, reentry: {once_per: event.order_id}}
        steps:
          - {send: thanks, content: text, channels: [email, app], purpose: service}
          - {wait: settle, for: 36h, weekdays: [mon, wed, fri]}
          - branch: size
            cases:
              - when: {contact.tags: {has: big}, journey.outcomes.thanks: sent}
                steps:
                  - {send: gift, content: present, channels: [app]}
            else:
              - {send: related, content: text, channels: [email]}
        """,
    "nag.yaml": """
        kind: journey
        id: nag
        title: nag
        owner: us
        purpose: marketing
        priority: 25
        enter: {event: added, reentry: {after: 1d}}
        steps:
          - repeat: until_paid
            while: {contact.total_spent: {lt: 60}, contact.tags: {lacks: unlucky}}
            at_most: 3
            steps:
              - {wait: ten, at: "10:00"}
              - send: nag
                content: text
                channels: [app, email]
              - repeat: looks
                times: 2
                steps:
                  - {wait_for: look, event: viewed, up_to: 20h, then: [{tag: keep, add: [looked]}]}
          - {start: further, journey: follow, values: {why: nagged}}
          - {start: once_more, journey: follow, values: {why: nagged}}
          - branch: how_often
            cases:
              - when: {journey.rounds.until_paid: {gte: 2}, journey.outcomes.nag: sent}
                steps: [{send: sorry, content: text, channels: [email], purpose: service}]
        """,
    "follow.yaml": """
        kind: journey
        id: follow
        title: follow
        owner: us
        purpose: service
        priority: 45
        enter:
          api: {parameters: {why: {type: text, required: true}}}
          when: {contact.tags: {lacks: greeted_twice}}
          reentry: {once_per: event.why}
        steps:
          - {send: soon, content: text, channels: [app, email]}
          - {start: last, journey: parting}
          - {wait: pause, for: 3h}
          - {send: later, content: text, channels: [email]}
        """,
    "parting.yaml": """
        kind: journey
        id: parting
        title: parting
        owner: us
        purpose: marketing
        priority: 90
        enter: {api: {}, reentry: always}
        leave: [{event: journey_requested}]
        steps:
          - {send: parting, content: text, channels: [email]}
          - {wait: rest, for: 2d}
        """,
    "outcomes.yaml": """
        kind: journey
        id: outcomes
        title: outcomes
        owner: us
        purpose: marketing
        priority: 70
        enter: {event: [viewed, paid], reentry: never}
        steps:
          - send: quick
            content: text
            channels: [app, email]
            deadline: 2h
            outcomes:
              sent: [{tag: lucky, add: [reached]}]
              expired: [{wait: patience, for: 6h}, {send: late, content: text, channels: [email]}]
              capped: [{tag: enough, add: [enough]}]
              blocked:
                - {wait: polite, for: 1m}
                - {send: receipt, content: text, channels: [email], purpose: service}
          - {wait: settle, for: 1m}  # of what held messages of one moment lead to, the order is not the same
          - branch: became
            cases:
              - when: {journey.outcomes.quick: expired, journey.outcomes.late: sent}
                steps: [{stop: made_up}]
              - {when: {journey.outcomes.receipt: {in: [sent, blocked]}}, steps: [{tag: told, add: [told]}]}
              - {when: {journey.outcomes.quick: {ne: sent}}, steps: [{tag: missed, add: [missed]}]}
    """,
    "dormant.yaml": """
        kind: journey
        id: dormant
        title: dormant
        owner: us
        purpose: marketing
        priority: 20
        enter: {event: [viewed, paid], reentry: always}
        leave: [{event: [viewed, paid]}]
        steps:
          - {start: asks, journey: follow, values: {why: quiet}}
          - {wait: silence, for: 5d, at: "02:30"}
          - {send: wake, content: text, channels: [email, app]}
        """,
    "patience.yaml": """
        kind: journey
        id: patience
        title: patience
        owner: us
        purpose: marketing
        priority: 30
        enter: {event: viewed, reentry: {after: 1d}}
        steps:
          - wait_for: bought
            when: {contact.total_spent: {gte: 60}}
            up_to: 3d
            then:
              - {tag: good, add: [bought]}
            otherwise:
              - {send: offer, content: present, channels: [app]}
        """,
    # Of the three people only bob is held out.
    "fewer.yaml": """
        kind: experiment
        id: fewer
        title: fewer
        owner: us
        hold_out: {share: 35%, of: {channels: [app]}, seed: h3, starts: "2026-03-28", ends: "2026-04-02"}
        """,
    "trial.yaml": """
        kind: journey
        id: trial
        title: trial
        owner: us
        purpose: marketing
        priority: 45
        enter: {event: viewed, reentry: {after: 12h}}
        steps:
          - experiment: tone
            arms:
              - {id: warm, weight: 1, steps: [{send: warmly, content: text, channels: [app, email]}]}
              - {id: dry, weight: 1, steps: [{tag: plain, add: [plain]}]}
          - {wait: some, for: 90m}
          - experiment: present
            stratify_by: [contact.activity]
            arms:
              - {id: none, weight: 1}
              - {id: small, weight: 1, steps: [{send: trinket, content: text, channels: [email, app]}]}
              - {id: large, weight: 1, steps: [{tag: lucky, add: [lucky]}]}
          - branch: thanks
            cases:
              - when: {journey.arms.present: large, journey.arms.tone: dry}
                steps: [{send: note_of_thanks, content: text, channels: [app]}]
        """,
}
