"""Who finds an event and who may watch it: its visibility, pass phrases and invitations."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Make them: every event that is there is public."""
    column: sa.Column[str] = sa.Column(
        "visibility", sa.String(16), nullable=False, server_default="public"
    )
    with op.batch_alter_table("events") as events:
        events.add_column(column)
    op.create_table(
        "event_pass_phrases",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("phrase_hash", sa.String(255), nullable=False),
        sa.Column("generation", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_event_pass_phrases_event_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", name="pk_event_pass_phrases"),
    )
    op.create_table(
        "event_invitations",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_event_invitations_event_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["username"],
            ["users.username"],
            name="fk_event_invitations_username",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "username", name="pk_event_invitations"),
    )
    op.create_index("ix_event_invitations_username", "event_invitations", ["username"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("event_invitations")
    op.drop_table("event_pass_phrases")
    with op.batch_alter_table("events") as events:
        events.drop_column("visibility")
