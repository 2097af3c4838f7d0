"""
One conditional write: whole, or in parts when it is large; checked on arrival by its sha256.

Whether the condition held is the answer, not an error.
"""

import base64
import hashlib
import os
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from pipelines.tools.s3_connection import Connection
from pipelines.tools.s3_errors import CONFLICT, PRECONDITION_FAILED, status
from pipelines.tools.s3_small import SmallWriter

MEBIBYTE = 1 << 20
#: A larger object goes in parts: S3 takes at most 5 GiB at once, and a broken transfer is repeated from its start.
WHOLE = 64 * MEBIBYTE
PART = 16 * MEBIBYTE
MOST_PARTS = 10_000
#: Held in memory, as many as there are connections, and sent by the shortest way.
SMALL = 4 * MEBIBYTE
#: What boto3 calls the headers that we send.
HEADERS = {
    "ContentType": "Content-Type",
    "CacheControl": "Cache-Control",
    "IfMatch": "If-Match",
    "IfNoneMatch": "If-None-Match",
}
#: Seconds between tries when the store says that two conditional writes met (409).
CONFLICT_WAITS = (0.1, 0.2, 0.4, 0.8, 1.6)
#: How else a lost condition looks: If-Match on nothing; an upload that was finished, but whose answer was lost.
GONE = {"NoSuchKey", "NoSuchUpload"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes to be written, measured beforehand."""

    body: bytes | Path
    size: int
    #: Hex.
    sha256: str

    def opened(self) -> BinaryIO:
        return _opened(self.body)


def measured(body: bytes | Path) -> Content:
    """Read `body` through once for its size and sha256; what is small is kept, and not read again."""
    if isinstance(body, Path) and body.stat().st_size <= SMALL:
        body = body.read_bytes()
    if isinstance(body, bytes):
        return Content(body=body, size=len(body), sha256=hashlib.sha256(body).hexdigest())
    with _opened(body) as stream:
        digest = hashlib.file_digest(stream, "sha256")  # type: ignore[arg-type]  # any BinaryIO does
        return Content(body=body, size=stream.seek(0, os.SEEK_END), sha256=digest.hexdigest())


def write(
    connection: Connection, where: Mapping[str, str], content: Content, headers: Mapping[str, str], condition: Any
) -> bool:
    """
    Write `content` at `where` (Bucket, Key) under `condition` (IfMatch or IfNoneMatch). Whether the condition held.

    In parts, one of 16 MiB is in memory at a time, and the sha256 of the whole goes into the metadata.
    """
    if isinstance(content.body, bytes) and content.size <= SMALL and connection.small:
        held = _small(connection.small, where, content.body, content.sha256, {**headers, **condition})
        if held is not None:
            return held
    put = _parts if content.size > WHOLE else _whole
    return put(connection, dict(where), content, headers, condition)


def _small(
    writer: SmallWriter, where: Mapping[str, str], body: bytes, sha256: str, headers: Mapping[str, str]
) -> bool | None:
    named = {HEADERS[name]: value for name, value in headers.items()}
    checksum = {"x-amz-checksum-sha256": _base64(bytes.fromhex(sha256))}
    return writer.put(where["Bucket"], where["Key"], body, sha256, {**named, **checksum})


def _whole(
    connection: Connection, where: Any, content: Content, headers: Mapping[str, str], condition: dict[str, str]
) -> bool:
    checksum = _base64(bytes.fromhex(content.sha256))
    arguments: Any = {**where, **headers, **condition, "ContentLength": content.size, "ChecksumSHA256": checksum}

    def put() -> None:
        with content.opened() as body:
            connection.client.put_object(Body=body, **arguments)

    return _won(connection, _name(where), put)


def _parts(
    connection: Connection, where: Any, content: Content, headers: Mapping[str, str], condition: dict[str, str]
) -> bool:
    client, name = connection.client, _name(where)
    begin: Any = {**where, **headers, "Metadata": {"sha256": content.sha256}, "ChecksumAlgorithm": "SHA256"}
    with connection.explained(name):
        upload: Any = {**where, "UploadId": client.create_multipart_upload(**begin)["UploadId"]}
    won = False
    try:
        with connection.explained(name), content.opened() as body:
            blocks = iter(partial(body.read, max(PART, -(-content.size // MOST_PARTS))), b"")
            parts = [_part(connection, upload, number, block) for number, block in enumerate(blocks, 1)]
        finish: Any = {**upload, **condition, "MultipartUpload": {"Parts": parts}}
        won = _won(connection, name, lambda: client.complete_multipart_upload(**finish))
    finally:
        if not won:
            # Parts that belong to nothing cost room. What is to be told is why the upload ended, not this.
            with suppress(ClientError, BotoCoreError):
                client.abort_multipart_upload(**upload)
    return won


def _part(connection: Connection, upload: Any, number: int, block: bytes) -> dict[str, Any]:
    checksum = _base64(hashlib.sha256(block).digest())
    sent = connection.client.upload_part(PartNumber=number, Body=block, ChecksumSHA256=checksum, **upload)
    return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}


def _won(connection: Connection, name: str, send: Callable[[], object]) -> bool:
    """Send a conditional write; False if its condition did not hold. Writes that met are sent again."""
    with connection.explained(name):
        for pause in CONFLICT_WAITS:
            try:
                return _sent(send)
            except ClientError as error:
                if status(error) != CONFLICT:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads rivals, hides nothing
        return _sent(send)


def _sent(send: Callable[[], object]) -> bool:
    try:
        send()
    except ClientError as error:
        if status(error) == PRECONDITION_FAILED or error.response["Error"].get("Code") in GONE:
            return False
        raise
    return True


def _name(where: Mapping[str, str]) -> str:
    return f"{where['Bucket']}/{where['Key']}"


def _opened(body: bytes | Path) -> BinaryIO:
    return BytesIO(body) if isinstance(body, bytes) else body.open("rb")


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
