"""A file or an S3 object that a delivery names, and the identity that its content had when it was examined."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where bytes are, and which bytes they are. A file is known by its sha256, an object by what its store says."""

    #: An absolute path, or `s3://bucket/key`.
    uri: str
    #: Bytes.
    size: int
    #: Of a file.
    sha256: str = ""
    #: Of an object: read with `IfMatch`, so that it can't change under a running step.
    etag: str = ""
    #: Of an object in a bucket that keeps versions.
    version: str = ""

    @property
    def identity(self) -> dict[str, str | int]:
        """What goes into digests: a moved file is the same file, an object is its place and version."""
        if self.sha256:
            return {"sha256": self.sha256, "size": self.size}
        return {"uri": self.uri, "etag": self.etag, "version": self.version, "size": self.size}
