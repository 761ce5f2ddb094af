"""The tables of the spine: contacts, consents, runs, intents, decisions, bundles, outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.store.columns import BigId, Document, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("intent_key", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("journey", sa.String(), nullable=True),
        sa.Column("content", sa.String(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("probe", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_attempt_channel", "attempt", ["channel", "at"])
    op.create_index("ix_attempt_intent", "attempt", ["intent_key"])
    op.create_table(
        "breaker",
        sa.Column("breaker_id", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("probes_left", sa.Integer(), nullable=False),
        sa.Column("ramp", sa.Float(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("evidence", Document, nullable=False),
        sa.PrimaryKeyConstraint("breaker_id", "scope"),
    )
    op.create_table(
        "bundle",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("files", Document, nullable=False),
        sa.Column("published_at", Instant(), nullable=False),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_bundle_hash", "bundle", ["hash"])
    op.create_table(
        "cap_place",
        sa.Column("cap_id", sa.String(), nullable=False),
        sa.Column("intent_key", sa.String(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("journey", sa.String(), nullable=True),
        sa.Column("tags", Document, nullable=False),
        sa.PrimaryKeyConstraint("cap_id", "intent_key"),
    )
    op.create_index("ix_cap_place_contact", "cap_place", ["contact_id", "at"])
    op.create_index("ix_cap_place_intent", "cap_place", ["intent_key"])
    op.create_table(
        "chain",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "consent",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("purpose_version", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("legal_basis", sa.String(), nullable=False),
        sa.Column("notice_hash", sa.String(), nullable=True),
        sa.Column("notice_language", sa.String(), nullable=True),
        sa.Column("mechanism", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("jurisdiction", sa.String(), nullable=True),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("valid_until", Instant(), nullable=True),
        sa.Column("prev_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_consent_contact", "consent", ["contact_id", "purpose"])
    op.create_table(
        "contact",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=True),
        sa.Column("timezone_source", sa.String(), nullable=True),
        sa.Column("locale", sa.String(), nullable=True),
        sa.Column("attributes", Document, nullable=False),
        sa.Column("tags", Document, nullable=False),
        sa.Column("derived_tags", Document, nullable=False),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("last_active_at", Instant(), nullable=True),
        sa.Column("first_order_at", Instant(), nullable=True),
        sa.Column("last_order_at", Instant(), nullable=True),
        sa.Column("order_count", sa.Integer(), nullable=False),
        sa.Column("total_spent", sa.Float(), nullable=False),
        sa.Column("last_send_at", Instant(), nullable=True),
        sa.Column("last_event_seq", BigId, nullable=False),
        sa.Column("suppressed", sa.String(), nullable=True),
        sa.Column("erased_at", Instant(), nullable=True),
        sa.Column("merged_into", sa.String(), nullable=True),
        sa.Column("counts", Document, nullable=False),
        sa.Column("sends_since_active", sa.Integer(), nullable=False),
        sa.Column("scores", Document, nullable=False),
        sa.Column("classes", Document, nullable=False),
        sa.Column("audiences", Document, nullable=False),
        sa.Column("profile_due_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_contact_profile_due_at", "contact", ["profile_due_at"])
    op.create_index("ix_contact_zone", "contact", ["timezone", "id"])
    op.create_table(
        "control",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("live_bundle", sa.String(), nullable=True),
        sa.Column("published_bundle", sa.String(), nullable=True),
        sa.Column("plans", Document, nullable=False),
        sa.Column("killed_at", Instant(), nullable=True),
        sa.Column("killed_by", sa.String(), nullable=True),
        sa.Column("kill_reason", sa.String(), nullable=True),
        sa.Column("released_at", Instant(), nullable=True),
        sa.Column("released_by", sa.String(), nullable=True),
        sa.Column("paused_journeys", Document, nullable=False),
        sa.Column("time_origin", Instant(), nullable=False),
        sa.Column("time_journey_origin", Instant(), nullable=False),
        sa.Column("time_scale", sa.Float(), nullable=False),
        sa.Column("write_key_hash", sa.String(), nullable=True),
        sa.Column("operator_token_hash", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("raw", Document, nullable=True),
        sa.Column("retried_at", Instant(), nullable=True),
        sa.Column("resolved_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_dead_letter_open", "dead_letter", ["resolved_at", "id"])
    op.create_table(
        "decision",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("schema_version", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("journey", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("intent_key", sa.String(), nullable=True),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("evidence", Document, nullable=False),
        sa.Column("would_pass_if", sa.String(), nullable=False),
        sa.Column("hold_until", Instant(), nullable=True),
        sa.Column("bundle_hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_decision_contact", "decision", ["contact_id", "at"])
    op.create_index("ix_decision_intent", "decision", ["intent_key"])
    op.create_table(
        "event",
        sa.Column("seq", BigId, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("occurred_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("properties", Document, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("event_id"),
    )
    op.create_index("ix_event_contact_seq", "event", ["contact_id", "seq"])
    op.create_table(
        "identity",
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("suppressed", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("platform", "address"),
    )
    op.create_index("ix_identity_contact_id", "identity", ["contact_id"])
    op.create_table(
        "intent",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("journey", sa.String(), nullable=True),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("channels", Document, nullable=False),
        sa.Column("bundle_hash", sa.String(), nullable=False),
        sa.Column("variables", Document, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("deadline_at", Instant(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("wake_at", Instant(), nullable=True),
        sa.Column("retry_at", Instant(), nullable=True),
        sa.Column("hold_scope", sa.String(), nullable=True),
        sa.Column("handed_over_at", Instant(), nullable=True),
        sa.Column("provider_id", sa.String(), nullable=True),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_intent_contact", "intent", ["contact_id"])
    op.create_index("ix_intent_hold", "intent", ["state", "hold_scope"])
    op.create_index("ix_intent_run", "intent", ["run_id"])
    op.create_index("ix_intent_state", "intent", ["state", "wake_at"])
    op.create_table(
        "outbox",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("payload", Document, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", Instant(), nullable=True),
        sa.Column("claimed_until", Instant(), nullable=True),
        sa.Column("done_at", Instant(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_outbox_key", "outbox", ["key", "id"])
    op.create_index("ix_outbox_open", "outbox", ["done_at", "id"])
    op.create_table(
        "overlay",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("plans", Document, nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_table(
        "pattern_past",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("pasts", Document, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "profile_sweep",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("after_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("journey", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("bundle_hash", sa.String(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("entry_key", sa.String(), nullable=False),
        sa.Column("entry_event_id", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("position", sa.String(), nullable=True),
        sa.Column("waiting", sa.String(), nullable=False),
        sa.Column("variables", Document, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("since_seq", BigId, nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("next_send_at", Instant(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("durable", sa.Boolean(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_run_contact", "run", ["contact_id", "journey"])
    op.create_index("ix_run_due", "run", ["status", "due_at"])
    op.create_index("ix_run_lease", "run", ["status", "lease_until"])
    op.create_table(
        "schedule",
        sa.Column("journey", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("shape", sa.String(), nullable=False),
        sa.Column("next_at", Instant(), nullable=True),
        sa.Column("fires_at", Instant(), nullable=True),
        sa.Column("after_id", sa.String(), nullable=False),
        sa.Column("entered", sa.Integer(), nullable=False),
        sa.Column("fired_at", Instant(), nullable=True),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("missed_at", Instant(), nullable=True),
        sa.Column("missed_because", sa.String(), nullable=True),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("ready_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("journey", "zone"),
    )
    op.create_table(
        "switch",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_switch_subject", "switch", ["kind", "subject", "id"])
    op.create_table(
        "wait",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("contact_id", sa.String(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=True),
        sa.Column("since_seq", BigId, nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("matched_event_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_wait_contact", "wait", ["contact_id", "event_type"])
    op.create_index("ix_wait_run", "wait", ["run_id"])
