"""
The object store: S3 through boto3, and nothing that only one vendor has.

An object is named by its key and known by its sha256, which the store itself checks on arrival (`ChecksumSHA256`) and
gives back on HEAD. Whatever must not change is written with `If-None-Match: *`. An object too large for one PUT goes
in parts, each checked on arrival; of those a store knows no sha256 of the whole, so ours stands in the object's
metadata.
"""

import base64
import errno
import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event, Lock
from typing import Any

from botocore.exceptions import ClientError

from pipelines import layout
from pipelines.errors import ConfigurationError, DeliveryError, StoreError, full_disk
from pipelines.tools.s3_connection import Connection
from pipelines.tools.s3_errors import NOT_FOUND, PRECONDITION_FAILED, forbidden, status
from pipelines.tools.s3_write import WHOLE, Content, measured, write

MEBIBYTE = 1 << 20
#: An ETag that no object has.
NEVER = f'"{"0" * 32}"'
#: How often a range is asked for when its body breaks off.
BROKEN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object as HEAD tells it."""

    key: str
    size: int
    #: Hex; empty if the object was not written by us.
    sha256: str
    etag: str
    content_type: str
    cache_control: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object as a listing tells it."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An object to be written."""

    key: str
    body: bytes | Path
    content_type: str
    cache_control: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An object that is in the store, whether this call wrote it or an earlier one."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """An object of any bucket, as it is now: somebody's delivery."""

    bucket: str
    key: str
    size: int
    etag: str
    #: Empty where the bucket keeps no versions.
    version: str


class Store:
    """One bucket. Raises `StoreError` (down, slow, refuses) or `ConfigurationError` (credentials, no such bucket)."""

    def __init__(
        self,
        *,
        endpoint: str | None,
        region: str,
        bucket: str,
        access_key: str,
        secret_key: str,
        connections: int = 8,
    ) -> None:
        """`endpoint` None means AWS; without keys, boto3 looks for a role. At most `connections` transfers at once."""
        self.bucket = bucket
        self._connection = Connection(
            endpoint=endpoint, region=region, access_key=access_key, secret_key=secret_key, connections=connections
        )

    def __repr__(self) -> str:
        return f"Store(host={self.host!r}, bucket={self.bucket!r})"

    @property
    def host(self) -> str:
        """Where it is, as errors and reports say it."""
        return self._connection.host

    def put_once(self, upload: Upload) -> Written:
        """
        Write an object that never changes. If it is there already with the same sha256, that is success.

        Over 64 MiB it goes in parts; the sha256 of the whole then stands in its metadata.
        """
        content = measured(upload.body)
        # Asking first spares sending gigabytes to be told so at the end.
        there = content.size > WHOLE and self.head(upload.key) is not None
        if there or not self._write(upload, content, {"IfNoneMatch": "*"}):
            self._must_hold(upload.key, content.sha256)
        return Written(key=upload.key, size=content.size, sha256=content.sha256)

    def put_all(self, uploads: Iterable[Upload], *, watch: Callable[[], None] = lambda: None) -> list[Written]:
        """
        `put_once` for many at a time, in no order; returns them in the order given. All are there on return.

        At most `connections` are taken from `uploads` ahead of being written. The first failure, also of `watch`
        (called at least twice a second), ends it; what is on its way is waited for.
        """
        waiting = enumerate(uploads)
        written: dict[int, Written] = {}
        taking, over = Lock(), Event()

        def work() -> None:
            while not over.is_set():
                with taking:
                    number, upload = next(waiting, (0, None))
                if upload is None:
                    return
                written[number] = self.put_once(upload)

        most = self._connection.connections
        with ThreadPoolExecutor(most, thread_name_prefix="put") as threads:
            running = {threads.submit(work) for _ in range(most)}
            try:
                while running:
                    done, running = wait(running, timeout=0.5, return_when=FIRST_EXCEPTION)
                    for each in done:
                        each.result()
                    watch()
            finally:
                over.set()
        return [written[number] for number in range(len(written))]

    def swap(self, upload: Upload, *, etag: str | None) -> bool:
        """Write a changing object if its ETag is still `etag` (None: if there is none). False: somebody was first."""
        content = measured(upload.body)
        if self._write(upload, content, {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}):
            return True
        # Ours, if only the answer to a first try was lost.
        stored = self.head(upload.key)
        return stored is not None and stored.sha256 == content.sha256

    def head(self, key: str) -> Stored | None:
        """The object as the store describes it, if it exists."""
        found = self._head(self.bucket, key)
        if found is None:
            return None
        checksum = found.get("ChecksumSHA256", "")
        whole = "" if "-" in checksum else base64.b64decode(checksum).hex()  # a dash: of the parts' checksums
        return Stored(
            key=key,
            size=found["ContentLength"],
            sha256=whole or found.get("Metadata", {}).get("sha256", ""),
            etag=found["ETag"],
            content_type=found.get("ContentType", ""),
            cache_control=found.get("CacheControl", ""),
        )

    def get(self, key: str, *, limit: int = 64 << 20) -> tuple[bytes, str] | None:
        """The object's bytes and ETag, if it exists. More than `limit` bytes is an error."""
        with self._reading(self.bucket, key) as found:
            if found is None:
                return None
            size = found["ContentLength"]
            if size > limit:
                raise StoreError(f"`{key}` has {size} bytes in the store at {self.host}, over the limit of {limit}.")
            return found["Body"].read(), found["ETag"]

    def fetch(self, key: str, path: Path, *, sha256: str) -> None:
        """Copy an object to `path`, which appears whole; the bytes are checked against `sha256` while they arrive."""
        part = path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                arrived = self._hashed(key, file.write)
            if arrived != sha256:
                raise StoreError(f"`{key}` arrived from {self.host} with sha256 {arrived}, not {sha256}.")
            part.rename(path)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise full_disk() from error
            raise
        finally:
            part.unlink(missing_ok=True)

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that starts with `prefix`."""
        return (listed.key for listed in self.listed(prefix))

    def listed(self, prefix: str) -> Iterator[Listed]:
        """Every object whose key starts with `prefix`, in the order of keys."""
        with self._connection.explained(f"{self.bucket}/{prefix}"):
            pages = self._connection.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield Listed(
                        key=entry["Key"], size=entry["Size"], etag=entry["ETag"], modified=entry["LastModified"]
                    )

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is not there is no error."""
        waiting = iter(keys)
        while some := list(islice(waiting, 1000)):  # the most that one call takes
            with self._connection.explained(self.bucket):
                gone = self._connection.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )
            for kept in gone.get("Errors", []):
                raise StoreError(f"`{kept.get('Key')}` can't be deleted at {self.host}: {kept.get('Code')}.")

    def examine(self, bucket: str, key: str) -> Remote | None:
        """What an object of any bucket is now, if it exists."""
        found = self._head(bucket, key)
        if found is None:
            return None
        version = found.get("VersionId", "null")
        return Remote(
            bucket=bucket,
            key=key,
            size=found["ContentLength"],
            etag=found["ETag"],
            version="" if version == "null" else version,
        )

    def ranged(self, remote: Remote, first: int, last: int) -> bytes:
        """Bytes `first` to `last` (inclusive) of exactly that content. `DeliveryError` if it changed or is gone."""
        for _ in range(BROKEN - 1):
            # boto3 repeats a request that fails, but not a body that breaks off.
            with suppress(StoreError):
                return self._ranged(remote, first, last)
        return self._ranged(remote, first, last)

    def make_bucket(self) -> None:
        """Create the bucket if it does not exist."""
        connection = self._connection
        elsewhere = connection.endpoint is None and connection.region != "us-east-1"  # there AWS wants no constraint
        place: Any = {"CreateBucketConfiguration": {"LocationConstraint": connection.region}} if elsewhere else {}
        with connection.explained(self.bucket):
            try:
                connection.client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if status(error) != NOT_FOUND:
                    raise
                with suppress(connection.client.exceptions.BucketAlreadyOwnedByYou):
                    connection.client.create_bucket(Bucket=self.bucket, **place)

    def now(self) -> datetime:
        """What the store's clock says, in whole seconds. S3 allows requests 15 minutes; a release, 2 seconds."""
        with self._connection.explained(self.bucket):
            answer = self._connection.client.head_bucket(Bucket=self.bucket)
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def allow_edges(self, secret: str) -> None:
        """Let whoever sends `secret` as Referer read public objects: the edges. Everything else stays private."""
        statement = {
            "Sid": "edges",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{self.bucket}/{prefix}*" for prefix in layout.PUBLIC],
            "Condition": {"StringEquals": {"aws:Referer": secret}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        with self._connection.explained(self.bucket):
            self._connection.client.put_bucket_policy(Bucket=self.bucket, Policy=policy)

    def check_conditional_writes(self) -> None:
        """Raise `ConfigurationError` unless the store keeps what we rely on: conditions, checksums, headers."""
        key = f"attempts/doctor/{secrets.token_hex(16)}.json"
        one = Upload(key=key, body=b'"one"', content_type="application/json", cache_control=layout.PRIVATE)
        two = measured(b'"two"')
        written = self.put_once(one)
        try:
            if self._write(one, two, {"IfNoneMatch": "*"}):
                raise self._unsuitable("does not honour If-None-Match: what must never change could be overwritten")
            if self._write(one, two, {"IfMatch": NEVER}):
                raise self._unsuitable("does not honour If-Match: of two releases at once, the later would be lost")
            stored = self.head(key)
            if stored is None or (stored.size, stored.sha256) != (written.size, written.sha256):
                raise self._unsuitable("does not give back the sha256 of what it was sent")
            if (stored.content_type, stored.cache_control) != (one.content_type, one.cache_control):
                raise self._unsuitable("does not keep Content-Type and Cache-Control")
        finally:
            self.delete([key])

    def check_swaps(self, prefix: str) -> None:
        """The cheapest part of that, one request. Raises `ConfigurationError` unless If-Match is honoured."""
        key = f"{prefix}avant-clock-{secrets.token_hex(16)}"
        probe = Upload(key=key, body=b"", content_type="application/json", cache_control=layout.PRIVATE)
        if self._write(probe, measured(probe.body), {"IfMatch": NEVER}):
            self.delete([key])
            raise self._unsuitable("does not honour If-Match: of two releases at once, the later would be lost")

    def may_write(self, prefix: str) -> bool:
        """Whether our credentials may write below `prefix`. Nothing is written: the condition can't hold."""
        key = f"{prefix}avant-doctor-{secrets.token_hex(16)}"
        probe = Upload(key=key, body=b"", content_type="application/json", cache_control=layout.PRIVATE)
        try:
            self._write(probe, measured(probe.body), {"IfMatch": NEVER})
        except ConfigurationError as error:
            if forbidden(error.__cause__):
                return False
            raise
        return True

    def close(self) -> None:
        """Let go of idle connections. The store can be used again."""
        self._connection.close()

    def _write(self, upload: Upload, content: Content, condition: dict[str, str]) -> bool:
        where = {"Bucket": self.bucket, "Key": upload.key}
        headers = {"ContentType": upload.content_type, "CacheControl": upload.cache_control}
        return write(self._connection, where, content, headers, condition)

    def _must_hold(self, key: str, sha256: str) -> None:
        """The object exists already: what never changes must be what we would have written."""
        stored = self.head(key)
        if stored is None:
            raise StoreError(f"`{key}` was deleted at {self.host} while it was written.")
        found = stored.sha256 or self._hashed(key, lambda _block: None)
        if found != sha256:
            raise StoreError(
                f"`{key}` is in the store at {self.host} with sha256 {found}, but what was made now has {sha256}.",
                hint="It never changes: find out which of the two is wrong before anything is deleted.",
            )

    def _hashed(self, key: str, sink: Callable[[bytes], object]) -> str:
        """Read an object from end to end into `sink`; its sha256 in hex."""
        digest = hashlib.sha256()
        with self._reading(self.bucket, key) as found:
            if found is None:
                raise StoreError(f"`{key}` is not in the store at {self.host}.")
            for block in iter(partial(found["Body"].read, MEBIBYTE), b""):
                digest.update(block)
                sink(block)
        return digest.hexdigest()

    def _ranged(self, remote: Remote, first: int, last: int) -> bytes:
        uri = f"s3://{remote.bucket}/{remote.key}"
        condition = {"IfMatch": remote.etag} | ({"VersionId": remote.version} if remote.version else {})
        try:
            with self._reading(remote.bucket, remote.key, Range=f"bytes={first}-{last}", **condition) as found:
                if found is None:
                    raise DeliveryError(f"{uri} was removed while it was read.", hint="Deliver it again.")
                return bytes(found["Body"].read())
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and status(cause) == PRECONDITION_FAILED:
                hint = "Run again once it is uploaded and left alone."
                raise DeliveryError(f"{uri} changed while it was read.", hint=hint) from error
            raise

    def _head(self, bucket: str, key: str) -> Any:
        """The answer to HEAD; None if there is no such object."""
        with self._connection.explained(f"{bucket}/{key}"):
            try:
                return self._connection.client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if status(error) == NOT_FOUND:
                    return None
                raise

    @contextmanager
    def _reading(self, bucket: str, key: str, **arguments: Any) -> Iterator[Any]:
        """The answer to GET, its body still to be read; None if there is no such object."""
        client = self._connection.client
        with self._connection.explained(f"{bucket}/{key}"):
            try:
                found = client.get_object(Bucket=bucket, Key=key, **arguments)
            except client.exceptions.NoSuchKey:
                yield None
                return
            with found["Body"]:
                yield found

    def _unsuitable(self, what: str) -> ConfigurationError:
        hint = "Use a store with conditional writes and checksums: AWS S3, MinIO, Ceph, SeaweedFS."
        return ConfigurationError(f"The object store at {self.host} {what}.", hint=hint)
