"""Where a store is and how it is spoken to: one boto3 client, made late, shared by all threads."""

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.config import Config

from pipelines.tools.s3_errors import explained
from pipelines.tools.s3_small import SmallWriter

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Bytes of a body from which on it is asked first: a store that hangs up takes in about as much before it does.
LARGE = 256 << 10


class Connection:
    """A store's address and our credentials, which neither its `repr` nor its errors tell."""

    def __init__(
        self, *, endpoint: str | None, region: str, access_key: str, secret_key: str, connections: int
    ) -> None:
        self.endpoint = endpoint
        self.region = region
        self.host = urlsplit(endpoint).netloc.rpartition("@")[2] if endpoint else f"s3.{region}.amazonaws.com"
        self.connections = connections
        self._access_key = access_key
        self._secret_key = secret_key
        self._made: S3Client | None = None
        self._small: SmallWriter | None = None
        self._making = threading.Lock()

    def __repr__(self) -> str:
        return f"Connection({self.host!r})"

    @property
    def client(self) -> "S3Client":
        """Made on first use, by whichever thread is first."""
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    @property
    def small(self) -> SmallWriter | None:
        """The shortest way for small objects; None where only boto3 knows the way, as for AWS itself."""
        return self._small if self.client else None

    def explained(self, what: str) -> AbstractContextManager[None]:
        """Turns botocore's errors about `what` (a bucket, or `bucket/key`) into ours."""
        return explained(self.host, what)

    def close(self) -> None:
        """Let go of idle connections. The next call makes new ones."""
        with self._making:
            for made in (self._made, self._small):
                if made:
                    made.close()
            self._made = self._small = None

    def _make(self) -> "S3Client":
        import boto3.session  # noqa: PLC0415 - takes 0.2 s, which `avant presets` need not spend
        from botocore.handlers import add_expect_header  # noqa: PLC0415 - likewise

        session = boto3.session.Session(
            aws_access_key_id=self._access_key or None, aws_secret_access_key=self._secret_key or None
        )
        client = session.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            config=Config(
                # A bucket in the host name needs DNS that only AWS has.
                s3={"addressing_style": "path" if self.endpoint else "auto"},
                retries={"mode": "standard", "total_max_attempts": 4},
                # Said by us, or boto3 puts it together anew for each request: a tenth of the time that a PUT takes it.
                user_agent="avant",
                connect_timeout=5,
                read_timeout=60,
                max_pool_connections=self.connections,
                # We send and compare sha256 ourselves; some stores refuse the CRC32 trailers that are the default.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        client.meta.events.unregister("before-call.s3", add_expect_header)
        client.meta.events.register("before-call.s3", _ask_first)
        credentials = session.get_credentials()
        if self.endpoint and credentials:
            self._small = SmallWriter(
                endpoint=self.endpoint, region=self.region, credentials=credentials, connections=self.connections
            )
        return client


def _ask_first(params: Any, **_kwargs: Any) -> None:
    """
    Ask before sending a large body whether the store will take it (`Expect: 100-continue`).

    One that refuses early may hang up on who goes on sending. boto3 asks for every body: a round trip per segment.
    """
    large = int(params["headers"].get("Content-Length", LARGE)) >= LARGE
    if large and hasattr(params["body"], "read"):
        params["headers"]["Expect"] = "100-continue"
