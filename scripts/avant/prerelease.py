"""`avant prerelease --within 24h`: look at everything again of each release to come, once, for cron or for somebody."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

import typer

from pipelines.errors import ReleaseError
from scripts.avant import console
from scripts.avant.console import AsJson, clock_time, data, print_table, say
from workers import observability
from workers.alarm import alarm
from workers.checkpoint import Report, recheck
from workers.farm import Farm
from workers.night import open_night
from workers.settings import Settings
from workers.watch import send

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def span(text: str) -> timedelta:
    """`90m`, `24h`, `2d`."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    if not found:
        raise typer.BadParameter("write it as 90m, 24h or 2d")
    return int(found[1]) * UNITS[found[2]]


def prerelease(
    within: Annotated[
        timedelta, typer.Option(parser=span, metavar="SPAN", help="Of releases due in 90m, 24h, 2d.")
    ] = "24h",  # type: ignore[assignment]  # what the parser reads
    as_json: AsJson = False,
) -> None:
    """Verify and prove again all that is to be released soon. Ends with 75 if anything of it is not well."""
    settings = Settings()
    with open_night(settings) as farm:
        observability.configure(settings)
        reports = [_told(farm, report, quiet=as_json) for report in _rounds(farm, within, quiet=as_json)]
        send(farm)
    if as_json:
        console.print_json({"ok": not _faulty(reports), "releases": [_row(report) for report in reports]})
    else:
        _print(reports)
    if _faulty(reports):
        raise typer.Exit(ReleaseError.exit_code)


def _rounds(farm: Farm, within: timedelta, *, quiet: bool) -> Iterator[Report]:
    for release in farm.ledger.armed():
        if release.at <= farm.ledger.now() + within:
            if not quiet:
                say(f"{release.episode}: looking at everything again")
            yield recheck(farm, release)


def _told(farm: Farm, report: Report, *, quiet: bool) -> Report:
    if alarm(farm, report) and not quiet:
        say(f"{report.release.episode}: who must know of it is told")
    return report


def _faulty(reports: list[Report]) -> bool:
    return any(report.faults for report in reports)


def _row(report: Report) -> dict[str, Any]:
    return {
        "episode": report.release.episode,
        "at": report.release.at.isoformat(),
        "wall": report.release.wall,
        "held": report.release.held,
        "ok": not report.faults,
        "findings": [
            {"subject": each.subject, "edition": each.edition, "ok": not each.said, "said": each.said}
            for each in report.findings
        ],
    }


def _print(reports: list[Report]) -> None:
    for report in reports:
        release = report.release
        when = f"{release.wall} ({clock_time(release.at)})" + (", held" if release.held else "")
        print_table(
            ("subject", "edition", "", "because"),
            ((each.subject, each.edition, "NOT WELL" if each.said else "well", each.said) for each in report.findings),
            title=f"{release.episode}: {when}",
        )
    if not reports:
        data.print("Nothing is to be released by then.")
