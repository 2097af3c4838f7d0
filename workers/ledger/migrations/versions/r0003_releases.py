"""Releases of several editions, held or trimmed by operators; an audit trail, repeated checks, notices to others."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("releases", sa.Column("editions", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("releases", sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("refs", sa.Column("trim", sa.JSON, nullable=False, server_default="{}"))
    op.create_table(
        "acts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("episode", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("after", sa.JSON, nullable=False),
    )
    op.create_index("acts_by_episode", "acts", ["episode", "id"])
    op.create_table(
        "checks",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("checked_at", sa.Double, nullable=False),
        sa.Column("ok", sa.Boolean, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("episode", sa.Text, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Double, nullable=False),
        sa.Column("sent_at", sa.Double),
    )
    _carry_over()
    op.drop_column("releases", "version")
    op.drop_column("releases", "goals")


def _carry_over() -> None:
    """What is planned and armed so far has one edition, with the goals that it had: the check first."""
    connection = op.get_bind()
    armed = sa.table("releases", *_columns("episode", "version"), *_columns("goals", "editions", kind=sa.JSON()))
    for row in connection.execute(sa.select(armed)).all():
        verification, *warmth = row.goals
        edition = _edition(row.version, verification, {str(n): goal for n, goal in enumerate(warmth)}, [])
        connection.execute(sa.update(armed).where(armed.c.episode == row.episode).values(editions=[edition]))
    plans = sa.table("plans", *_columns("episode", "version"), *_columns("plan", kind=sa.JSON()))
    for row in connection.execute(sa.select(plans)).all():
        plan = dict(row.plan)
        tracks = [track["digest"] for track in plan["tracks"]]
        plan["editions"] = [_edition(row.version, plan.pop("verification"), plan.pop("warmth"), tracks)]
        del plan["version"]
        this = (plans.c.episode == row.episode) & (plans.c.version == row.version)
        connection.execute(sa.update(plans).where(this).values(plan=plan))


def _edition(version: str, verification: str, warmth: dict[str, str], tracks: list[str]) -> dict[str, Any]:
    return {"urgency": "must", "version": version, "verification": verification, "warmth": warmth, "tracks": tracks}


def _columns(*names: str, kind: Any = None) -> list[sa.ColumnClause[Any]]:
    return [sa.column(name, kind) for name in names]
