"""
Whether a step that failed is tried again, and after how long: a decision that is a value.

Pure. Whose fault it was is told by the error's class, and nothing else.
"""

from pipelines.errors import EdgeError, HostError, StoreError, ToolError

#: A tool may fail by chance, or because of its host; three times is neither.
TOOL_FAULTS = 3
#: Services come back: ten attempts are spread over about five minutes.
SERVICE_FAULTS = 10
LONGEST = 60.0  # seconds
#: Holders of one step that vanished (killed, crashed, cut off) until the step itself is suspected.
VANISHED = 5


def pause(error: Exception, faults: int) -> float | None:
    """Seconds until the next attempt after `faults` failures, of which this is the last; None: there is none."""
    match error:
        case ToolError():
            return 0.0 if faults < TOOL_FAULTS else None
        case StoreError() | EdgeError() | HostError():
            return min(LONGEST, 2.0 ** (faults - 1)) if faults < SERVICE_FAULTS else None
        case _:
            return None
