"""
Whoever must know that a release is in danger: the log, Sentry, and a webhook of the operators'; only when it is news.

What was told last stands in the ledger with what is to be sent, so that of several clocks one tells it, and a clock
that dies with a notice unsent leaves it to the others.
"""

import json
from typing import Any

import structlog

from pipelines.errors import ConfigurationError
from pipelines.tools.webhook import Webhook
from workers.checkpoint import Report
from workers.farm import Farm
from workers.observability import reports
from workers.observability.reports import Culprit
from workers.settings import Settings

HINT = "See `avant release show EPISODE`; `avant prerelease` looks at everything again."

log = structlog.get_logger()


def alarm(farm: Farm, report: Report, *, checkpoint: str = "") -> bool:
    """
    Tell of what is wrong with a release, if that is not what was told last; at a checkpoint in any case. And once that
    nothing is any more. Whether anything was told.
    """
    release = report.release
    body = notice(report, checkpoint)
    if not farm.ledger.tell(release.episode, body, news="subjects", again=bool(checkpoint and report.faults)):
        return False
    trace = farm.ledger.trace(release.episode, release.version)
    told = {"episode": release.episode, "trace": trace, "checkpoint": checkpoint}
    if not report.faults:
        log.info("release.well-again", **told)
        return True
    sentences = [f"{fault['subject']}: {fault['said']}" for fault in body["faults"]]
    log.error("release.in-danger", reasons=sentences, **told)
    reports.alarm(
        f"The release of `{release.episode}` is in danger: {', '.join(body['subjects'])}.",
        Culprit(
            episode=release.episode,
            step="release",
            kind="release",
            host=farm.settings.machine,
            trace=trace,
            label=f"release {release.wall}",
            worker="clock",
            attempt=1,
        ),
        hint=f"{'; '.join(sentences)}. {HINT.replace('EPISODE', release.episode)}",
    )
    return True


def notice(report: Report, checkpoint: str) -> dict[str, Any]:
    """What a webhook is told, as JSON's values."""
    release = report.release
    return {
        "event": "release.in-danger" if report.faults else "release.well-again",
        "episode": release.episode,
        "at": release.at.isoformat(),
        "wall": release.wall,
        "checkpoint": checkpoint,
        #: What is told apart: the sentences differ a little from one look to the next.
        "subjects": sorted({fault.subject for fault in report.faults}),
        "faults": [{"subject": fault.subject, "edition": fault.edition, "said": fault.said} for fault in report.faults],
    }


def webhook_of(settings: Settings) -> Webhook | None:
    """Where the settings have notices posted, if anywhere. Raises `ConfigurationError` for what can't be posted to."""
    if settings.webhook_url is None:
        return None
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    return Webhook.at(settings.webhook_url.get_secret_value(), secret)


def deliver(farm: Farm) -> bool:
    """
    Send the notice whose turn it is. Whether another may follow at once.

    A webhook that can't be used costs no clock its life: that is said, and the notice waits.
    """
    if farm.settings.webhook_url is None:
        return False
    notice = farm.ledger.next_notice()
    if notice is None:
        return False
    body = json.dumps({"id": notice.id, **notice.body, "made_at": notice.made_at.isoformat()}, ensure_ascii=False)
    try:
        webhook = webhook_of(farm.settings)
        failed = webhook.post(body.encode(), farm.ledger.now(), {}) if webhook else ""
    except ConfigurationError as error:
        failed = error.message
    if failed:
        log.warning("notice.unsent", episode=notice.body["episode"], attempt=notice.attempt, error=failed)
    else:
        farm.ledger.taken(notice)
    return not failed
