"""
Small objects by the shortest way: signed by botocore, sent over its own connections, and none of its layers between.

A track is hundreds of segments, and what boto3 does around each PUT (endpoint rules, serializers, hooks, parsers) takes
four times as long as signing and sending it. Only an answer that needs no thought is taken from here; whatever else
comes, boto3 sends the object again, with its retries and its errors.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from botocore.credentials import Credentials

OK, PRECONDITION_FAILED = 200, 412


class SmallWriter:
    """PUTs to one store, from any thread. `endpoint` is an address of path style, as stores other than AWS have."""

    def __init__(self, *, endpoint: str, region: str, credentials: "Credentials", connections: int) -> None:
        # With the client's imports, which commands that ask no store are spared.
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.httpsession import URLLib3Session  # noqa: PLC0415
        from botocore.utils import get_environ_proxies  # noqa: PLC0415

        class Signer(S3SigV4Auth):
            def payload(self, request: AWSRequest) -> str:
                """Known already: hashing is a tenth of all."""
                return str(request.context["sha256"])

        self._request, self._signer = AWSRequest, Signer
        self._endpoint = endpoint.rstrip("/")
        self._region = region
        self._credentials = credentials
        self._session = URLLib3Session(
            verify=os.environ.get("AWS_CA_BUNDLE") or True,  # type: ignore[arg-type]  # a path will do
            proxies=get_environ_proxies(endpoint),
            timeout=(5, 60),  # type: ignore[arg-type]  # to connect, to read
            max_pool_connections=connections,
        )

    def put(self, bucket: str, key: str, body: bytes, sha256: str, headers: Mapping[str, str]) -> bool | None:
        """Whether the write's condition held; None: neither was clearly said, so it is to be sent by boto3."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - as above

        url = f"{self._endpoint}/{bucket}/{quote(key, safe='/~')}"
        request = self._request(method="PUT", url=url, headers=dict(headers), data=body)
        request.context["sha256"] = sha256
        self._signer(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        try:
            answer = self._session.send(request.prepare())
        except BotoCoreError:
            return None
        return {OK: True, PRECONDITION_FAILED: False}.get(answer.status_code)

    def close(self) -> None:
        self._session.close()
