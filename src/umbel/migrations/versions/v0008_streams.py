"""Trees and sessions belong to a stream, and their column has that name."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Rename the columns and the index."""
    _rename("event", "stream")


def downgrade() -> None:
    """Name them as before."""
    _rename("stream", "event")


def _rename(old: str, new: str) -> None:
    op.drop_index(f"ix_sessions_{old}_function", "sessions")
    op.alter_column("trees", old, new_column_name=new)
    op.alter_column("sessions", old, new_column_name=new)
    op.create_index(f"ix_sessions_{new}_function", "sessions", [new, "function"])
