"""
What really happened to a ledger, written down by the database itself: triggers see every commit, whoever makes it.

Only for PostgreSQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.hand import sha256
from tests.fakes.postgres import Postgres

TRIGGERS = """
CREATE TABLE audit (step text, token bigint, what text);

CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO audit VALUES (OLD.id, NEW.token, OLD.state || '>' || NEW.state); RETURN NULL; END $$;
CREATE TRIGGER told AFTER UPDATE ON steps FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION tell();

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO audit VALUES (OLD.step, OLD.token, 'artifact ' || TG_OP); RETURN NULL; END $$;
CREATE TRIGGER refused AFTER UPDATE OR DELETE ON artifacts FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The ledger at `address`, watched from now on."""

    server: Postgres
    address: str

    @classmethod
    def begin(cls, server: Postgres, address: str) -> "Audit":
        """Watch a ledger before anything happens to it."""
        watched = cls(server=server, address=address)
        watched.server.sql(TRIGGERS, watched.database)
        return watched

    @property
    def database(self) -> str:
        return self.address.partition("@/")[2].partition("?")[0]

    def done(self) -> int:
        """How many steps are done."""
        return int(str(self._rows("SELECT count(*) FROM steps WHERE state = 'done'")[0][0]))

    def running(self) -> dict[str, tuple[str, int]]:
        """What each worker works on: a step and its token."""
        rows = self._rows("SELECT worker, id, token FROM steps WHERE state = 'running'")
        return {str(worker): (str(step), int(str(token))) for worker, step, token in rows}

    def commits(self) -> dict[str, int]:
        """The token with which each step was committed. Fails unless each was once, and nothing was changed after."""
        rows = self._rows("SELECT step, token FROM audit WHERE what = 'running>done'")
        assert len(rows) == len({step for step, _ in rows}), "committed twice"
        assert self._rows("SELECT * FROM audit WHERE what LIKE 'done>%' OR what LIKE 'artifact%'") == []
        return {str(step): int(str(token)) for step, token in rows}

    def count(self, what: str) -> int:
        """How often a step went from one state to another, such as `running>ready`."""
        return int(str(self._rows(f"SELECT count(*) FROM audit WHERE what = '{what}'")[0][0]))

    def states(self) -> Mapping[str, int]:
        """How many steps are in which state."""
        rows = self._rows("SELECT state, count(*) FROM steps GROUP BY state")
        return {str(state): int(str(count)) for state, count in rows}

    def check_references(self) -> None:
        """Fail unless every artifact is of the attempt that its step was committed with."""
        commits = self.commits()
        for step, token, key in self._rows("SELECT step, token, key FROM artifacts"):
            assert token == commits[str(step)]
            assert not str(key).startswith("attempts/") or str(key).startswith(f"attempts/{step}/{token}/")

    def check_bytes(self, store: Path) -> None:
        """Fail unless every artifact of `tests.fakes.hand` is what was written, from all that it needed."""
        rows = self._rows("SELECT digest, step, key, sha256, facts FROM artifacts")
        committed = {digest: sha for digest, _, _, sha, _ in rows}
        used = []
        for _, step, key, sha, facts in rows:
            assert isinstance(facts, dict)
            assert sha256(store / str(key) / "made") == sha
            assert facts["inputs"] == {digest: committed[digest] for digest in facts["inputs"]}
            used += [(step, digest) for digest in facts["inputs"]]
        assert sorted(used) == sorted(self._rows("SELECT step, artifact FROM step_needs"))

    def _rows(self, statement: str) -> list[tuple[object, ...]]:
        return self.server.sql(statement, self.database)
