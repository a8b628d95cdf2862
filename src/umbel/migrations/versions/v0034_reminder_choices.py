"""Reminders at chosen times: what viewers choose, when to look, and messages that wait. Who was
reminded before this revision is not kept: then there was one reminder, UMBEL_REMINDER_S before."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"

_TEXT = 64


def upgrade() -> None:
    """Make the tables and columns."""
    op.drop_table("reminders")
    op.create_table(
        "reminder_choices",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("leads", sa.String(_TEXT), nullable=False),
        sa.Column("channels", sa.String(_TEXT), nullable=False),
        sa.Column("changed_s", sa.Float(), nullable=False),
        sa.Column("time_zone", sa.String(128), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        _of_user("reminder_choices"),
        sa.PrimaryKeyConstraint("username", name="pk_reminder_choices"),
    )
    with op.batch_alter_table("reservations") as table:
        table.add_column(sa.Column("leads", sa.String(_TEXT)))
        table.add_column(sa.Column("channels", sa.String(_TEXT)))
        table.add_column(sa.Column("changed_s", sa.Float()))
        table.add_column(sa.Column("remind_s", sa.Float()))
    op.execute(sa.text("UPDATE reservations SET remind_s = 0"))
    op.create_index("ix_reservations_remind_s", "reservations", ["remind_s"])
    _create_outbox()


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("starts_s", sa.Float(), nullable=False),
        sa.Column("lead_s", sa.Integer(), nullable=False),
        sa.Column("created_s", sa.Float(), nullable=False),
        sa.Column("expires_s", sa.Float(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("due_s", sa.Float(), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("done_s", sa.Float()),
        _of_user("outbox"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_username", "outbox", ["username"])
    op.create_index("ix_outbox_expires_s", "outbox", ["expires_s"])
    op.create_index("ix_outbox_state_channel_due_s", "outbox", ["state", "channel", "due_s"])


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["username"], ["users.username"], name=f"fk_{table}_username", ondelete="CASCADE"
    )


def downgrade() -> None:
    """Drop them; who was reminded is not known any more."""
    op.drop_table("outbox")
    op.drop_index("ix_reservations_remind_s", "reservations")
    with op.batch_alter_table("reservations") as table:
        for name in ("leads", "channels", "changed_s", "remind_s"):
            table.drop_column(name)
    op.drop_table("reminder_choices")
    op.create_table(
        "reminders",
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("starts_s", sa.Float(), nullable=False),
        sa.Column("claimed_s", sa.Float(), nullable=False),
        _of_user("reminders"),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_reminders_event_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("username", "event_id", "starts_s", name="pk_reminders"),
    )
    op.create_index("ix_reminders_event_id", "reminders", ["event_id"])
