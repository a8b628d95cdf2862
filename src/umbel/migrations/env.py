"""What Alembic runs around the revisions: on the connection, and in the transaction, it was given.

Neighbour: `umbel.migrations`, which holds the lock and commits.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
