"""What operators do: hosts drained, lanes paused, episodes cancelled; and failures that wait for another host."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("hosts", sa.Column("drained", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("episodes", sa.Column("cancelled_at", sa.Double))
    op.add_column("steps", sa.Column("failed_on", sa.Text))
    op.add_column("steps", sa.Column("elsewhere_until", sa.Double, nullable=False, server_default=sa.text("0")))
    op.create_table(
        "pauses", sa.Column("lane", sa.Text, primary_key=True), sa.Column("paused_at", sa.Double, nullable=False)
    )
