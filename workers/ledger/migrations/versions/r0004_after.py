"""What comes after a release: collection of what nobody needs, and the end of what is offered."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _collection()
    op.add_column("refs", sa.Column("ended", sa.JSON, nullable=False, server_default="[]"))
    op.create_table(
        "availabilities",
        sa.Column("episode", sa.Text, primary_key=True),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("due", sa.Double),
    )
    op.create_index("ix_availabilities_due", "availabilities", ["due"])


def _collection() -> None:
    op.add_column("artifacts", sa.Column("doomed_at", sa.Double))
    op.add_column("steps", sa.Column("life", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.create_table(
        "graves",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
    )
