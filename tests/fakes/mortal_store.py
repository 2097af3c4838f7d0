"""A store whose user dies: so many writes are made, and then none any more."""

import threading
from typing import Any

from pipelines.tools.s3 import Store
from tests.conftest import StoreService
from workers import services


class DiedError(Exception):
    """What the user of the store would have done next was never done."""


class MortalStore(Store):
    """
    A bucket of the tests' store. `left` more objects can be written, one at a time; finding that one is there already
    costs nothing.
    """

    def __init__(self, service: StoreService, bucket: str) -> None:
        super().__init__(
            endpoint=service.endpoint,
            region=services.REGION,
            bucket=bucket,
            access_key=service.secrets.access_key,
            secret_key=service.secrets.secret_key,
        )
        self.left = 0
        self._one_at_a_time = threading.Lock()

    def _write(self, *arguments: Any) -> bool:
        with self._one_at_a_time:
            if self.left == 0:
                raise DiedError
            written = super()._write(*arguments)
            self.left -= written
            return written
