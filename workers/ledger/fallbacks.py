"""
Giving something up so that a release is in time: the plan, its steps and what is armed change together, or not at all.
"""

from sqlalchemy import select, update

from pipelines.delivery import Fallback
from pipelines.errors import ReleaseError
from pipelines.plan import Plan, fall_back
from pipelines.wire import from_data, to_data
from presets.document import nearest
from workers.ledger.acts import By, note
from workers.ledger.database import Database, pass_gate
from workers.ledger.schema import releases
from workers.ledger.submit import Submitted, current_plan, take_in


class Fallbacks(Database):
    """What releases may give up."""

    def give_up(self, episode: str, name: str, *, by: By) -> Submitted | None:
        """
        Have an episode's release wait no longer for what its fallback `name` drops, which follows by itself.

        None: that was given up already. Nothing that failed is tried again for it. Raises `ReleaseError` when nothing
        is armed or no such fallback is declared, `DeliveryError` when too little would be left.
        """
        with self._write() as connection:
            pass_gate(connection)
            armed = select(releases).where(releases.c.episode == episode).with_for_update()
            release, row = connection.execute(armed).first(), current_plan(connection, episode)
            if release is None or row is None:
                raise ReleaseError(f"Nothing of `{episode}` is armed.", hint="Submit the episode, which arms it.")
            plan = from_data(Plan, row.plan)
            fallback = declared(plan, name)
            if name in plan.given_up:
                return None
            less = fall_back(plan, fallback)
            taken = take_in(connection, less, row.deadline, again=False)
            promised = [to_data(edition) for edition in less.editions]
            connection.execute(update(releases).where(releases.c.episode == episode).values(editions=promised))
            told = {"given_up": list(less.given_up), "least": less.editions[0].version}
            before = {"given_up": list(plan.given_up), "least": plan.editions[0].version}
            note(connection, episode, by, before=before, after=told)
        return taken


def declared(plan: Plan, name: str) -> Fallback:
    """The fallback of that name. Raises `ReleaseError` if the delivery declares none."""
    known = {fallback.name: fallback for fallback in plan.fallbacks}
    if name not in known:
        meant = nearest(name, sorted(known))
        listed = ", ".join(f"`{each}`" for each in known)
        hint = f"Did you mean `{meant}`?" if meant else f"It declares {listed or 'none'}, in `[[release.fallback]]`."
        raise ReleaseError(f"The delivery of `{plan.episode}` declares no fallback `{name}`.", hint=hint)
    return known[name]
