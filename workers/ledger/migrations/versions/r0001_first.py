"""The first schema: episodes and their plans, steps, artifacts, hosts, releases and refs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _what_is_wanted()
    _work()
    _what_is_made()
    op.bulk_insert(
        op.create_table("farm", sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False)),
        [{"epoch": 0}],
    )


def _what_is_wanted() -> None:
    op.create_table(
        "episodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("deadline", sa.Double),
        sa.Column("submitted_at", sa.Double, nullable=False),
    )
    op.create_table(
        "plans",
        sa.Column("episode", sa.Text, sa.ForeignKey("episodes.id"), primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("submitted_at", sa.Double, nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("episode", sa.Text, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("wall", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("goals", sa.JSON, nullable=False),
        sa.Column("armed_at", sa.Double, nullable=False),
    )


def _work() -> None:
    op.create_table(
        "hosts",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("memory", sa.BigInteger, nullable=False),
        sa.Column("slots", sa.JSON, nullable=False),
    )
    op.create_table(
        "steps",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("episode", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("memory", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("latest_start", sa.Double, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("vanished", sa.Integer, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.Double),
        sa.Column("worker", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("error", sa.JSON(none_as_null=True)),
    )
    op.create_index("steps_by_urgency", "steps", ["state", "lane", "latest_start", "position"])
    for table, index in (("step_needs", "step_needs_by_artifact"), ("step_makes", "step_makes_by_artifact")):
        op.create_table(
            table,
            sa.Column("step", sa.Text, sa.ForeignKey("steps.id"), primary_key=True),
            sa.Column("artifact", sa.Text, primary_key=True),
        )
        op.create_index(index, table, ["artifact"])
    op.create_table(
        "wants",
        sa.Column("episode", sa.Text, sa.ForeignKey("episodes.id"), primary_key=True),
        sa.Column("step", sa.Text, sa.ForeignKey("steps.id"), primary_key=True),
        sa.Column("latest_start", sa.Double, nullable=False),
    )
    op.create_index("wants_by_step", "wants", ["step"])


def _what_is_made() -> None:
    op.create_table(
        "artifacts",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("committed_at", sa.Double, nullable=False),
    )
    op.create_table(
        "refs",
        sa.Column("episode", sa.Text, primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("flipped_at", sa.Double, nullable=False),
    )
