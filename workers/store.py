"""The object store and the naming secret that the settings name, as pipelines want them."""

from pydantic import SecretStr

from pipelines.errors import ConfigurationError
from pipelines.layout import Names
from pipelines.tools.s3 import Store
from workers.settings import Settings


def open_store(settings: Settings) -> Store:
    """The farm's bucket. Nothing is asked of it yet."""
    return Store(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        bucket=settings.s3_bucket,
        access_key=settings.s3_access_key or "",
        secret_key=_secret(settings.s3_secret_key),
    )


def names(settings: Settings) -> Names:
    """What turns digests into public names. Raises `ConfigurationError` without a secret to do it with."""
    key = _secret(settings.naming_key)
    if not key:
        raise ConfigurationError(
            "There is no secret to make public names with.",
            hint="Set AVANT_NAMING_KEY to the same long random text on every host.",
        )
    return Names(key=key.encode())


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
