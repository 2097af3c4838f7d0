"""Whether a failed step is tried again is decided by whose fault it was."""

import pytest

from pipelines.errors import ConfigurationError, DeliveryError, EdgeError, HostError, StoreError, ToolError
from workers.ledger.retry import pause


def test_a_tool_gets_two_more_attempts() -> None:
    assert [pause(ToolError("x"), faults) for faults in (1, 2, 3)] == [0.0, 0.0, None]


@pytest.mark.parametrize("kind", [StoreError, EdgeError, HostError])
def test_services_get_time_to_come_back(kind: type[StoreError | EdgeError | HostError]) -> None:
    """1, 2, 4 … seconds, never more than a minute, ten attempts in all."""
    assert [pause(kind("x"), n) for n in range(1, 11)] == [1, 2, 4, 8, 16, 32, 60, 60, 60, None]


@pytest.mark.parametrize("kind", [StoreError, EdgeError])
def test_services_are_waited_for_while_slack_lasts(kind: type[StoreError | EdgeError]) -> None:
    """As long as the next attempt still comes in time; ten attempts in any case."""
    assert [pause(kind("x"), 500, slack) for slack in (3600, 60.1, 60, -1)] == [60, 60, None, None]
    assert pause(kind("x"), 3, -3600) == 4


def test_a_hosts_own_trouble_is_not_waited_out() -> None:
    """Ten attempts wherever they are made: then somebody has to look."""
    assert pause(HostError("x"), 10, 3600) is None


@pytest.mark.parametrize("error", [DeliveryError("x"), ConfigurationError("x"), ZeroDivisionError()])
def test_what_only_people_can_mend_is_not_tried_again(error: Exception) -> None:
    assert pause(error, 1) is None
