"""
What a failed S3 call means, in one sentence for whoever can put it right.

Messages name the store's host and the object, never a credential; botocore's own error is kept as the cause.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's name
    ConnectTimeoutError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
)
from urllib3.exceptions import HTTPError

from pipelines.errors import AvantError, ConfigurationError, StoreError

FORBIDDEN = 403
NOT_FOUND = 404
CONFLICT = 409
PRECONDITION_FAILED = 412
INSUFFICIENT_STORAGE = 507

BAD_CREDENTIALS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
}
DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest", "IncompleteBody"}
BUSY = {"SlowDown", "ServiceUnavailable", "RequestTimeout", "ThrottlingException", "RequestLimitExceeded"}


def status(error: ClientError) -> int:
    """The HTTP status of the answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def forbidden(error: BaseException | None) -> bool:
    """Whether the store knows who we are, and does not let us."""
    if not isinstance(error, ClientError) or status(error) != FORBIDDEN:
        return False
    return error.response.get("Error", {}).get("Code") not in BAD_CREDENTIALS


@contextmanager
def explained(host: str, what: str) -> Iterator[None]:
    """Turn botocore's errors into ours. `what` is the bucket or `bucket/key` that the call is about."""
    try:
        yield
    except ClientError as error:
        raise _refusal(error, host, what) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise ConfigurationError(
            f"There are no credentials for the object store at {host}.",
            hint="Set an access key and a secret key, or give this host a role.",
        ) from error
    except (BotoCoreError, HTTPError) as error:
        raise StoreError(_silence(error, host, what), hint="Check that it is up and within reach.") from error


def _silence(error: Exception, host: str, what: str) -> str:
    if isinstance(error, ReadTimeoutError):
        return f"The object store at {host} takes too long to answer about `{what}`."
    if isinstance(error, (ConnectionError, ConnectTimeoutError, ProxyConnectionError)):
        return f"The object store at {host} does not answer."
    if isinstance(error, (HTTPClientError, HTTPError)):
        return f"The connection to the object store at {host} broke during a transfer of `{what}`."
    return f"A request to the object store at {host} about `{what}` could not be made ({type(error).__name__})."


def _refusal(error: ClientError, host: str, what: str) -> AvantError:
    code, http = error.response.get("Error", {}).get("Code", ""), status(error)
    bucket = what.partition("/")[0]
    known = {
        "NoSuchBucket": (f"has no bucket `{bucket}`", "Create it, or correct the setting."),
        "RequestTimeTooSkewed": ("has another time than this host", "Set both clocks by NTP."),
        "NotImplemented": (f"can't do what `{what}` needs", "Use one with conditional writes and checksums."),
        **dict.fromkeys(BAD_CREDENTIALS, ("refuses the credentials", "Correct the access key and the secret key.")),
    }
    if code not in known and http == FORBIDDEN:
        known[code] = (
            f"refuses access to `{what}` with these credentials",
            "Correct them, or grant them read, write, list and delete on the bucket.",
        )
    if code in known:
        fault, hint = known[code]
        return ConfigurationError(f"The object store at {host} {fault}.", hint=hint)
    return StoreError(f"The object store at {host} {_trouble(code, http, what)}.", hint="It may pass: try again.")


def _trouble(code: str, http: int, what: str) -> str:
    if code in DAMAGED:
        return f"got `{what}` damaged"
    if http == INSUFFICIENT_STORAGE:
        return "is full"
    if code in BUSY:
        return f"is too busy ({code})"
    return f"answered {http} {code} about `{what}`"
