"""Collection: since when nobody needs an artifact, how often what a step makes was collected, what is to be deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("artifacts", sa.Column("doomed_at", sa.Double))
    op.add_column("steps", sa.Column("life", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.create_table(
        "graves",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
    )
