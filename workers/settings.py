"""
Where things are and who may use them: the only part of a farm that differs from one machine.

Read from the environment (`AVANT_…`) or from systemd's credentials, so that secrets never stand in an argv. An address
that is not set means the embedded part: whoever starts it fills the address in and hands it to worker processes through
their environment.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipelines.errors import ConfigurationError
from workers.host import name as host_name


def mistaken(error: ValidationError) -> ConfigurationError:
    """A setting that can't be read; without its value, which may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = "_".join(str(part) for part in first["loc"]).upper()
    return ConfigurationError(f"AVANT_{where}: {first['msg'].rstrip('.')}.", hint="Correct that setting, or unset it.")


def _home() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "avant"


class Settings(BaseSettings):
    """All that the environment says. Every key is `AVANT_` and the field's name."""

    model_config = SettingsConfigDict(
        env_prefix="AVANT_",
        frozen=True,
        use_attribute_docstrings=True,
        extra="ignore",
        # Where systemd puts credentials: files called avant_s3_secret_key and so on. A variable goes before.
        secrets_dir=os.environ.get("CREDENTIALS_DIRECTORY"),
    )

    home: Annotated[Path, Field(default_factory=_home)]
    """Folder of everything that this machine keeps: embedded services, ledger, scratch, logs."""
    ledger_url: Annotated[str | None, Field(repr=False)] = None
    """`postgresql://name:password@host/database?sslmode=verify-full`. Default: SQLite in `home`."""
    broker_url: Annotated[str | None, Field(repr=False, pattern=r"^(rediss?|unix)://")] = None
    """`redis://:password@host:port/0` or `unix://:password@/path`. Default: an embedded Valkey."""
    s3_endpoint: Annotated[str | None, Field(pattern=r"^https?://[^/]")] = None
    """Address of the object store. Default: an embedded SeaweedFS."""
    s3_region: str = "us-east-1"
    """Region that requests are signed for."""
    s3_bucket: str = "avant"
    """Bucket that everything is published in."""
    s3_access_key: str | None = None
    """Name of the store's credential."""
    s3_secret_key: SecretStr | None = None
    """The store's credential."""
    naming_key: SecretStr | None = None
    """Secret that public names are made with. Default: one is made up once and kept in `home`."""
    edges: Path | None = None
    """`edges.toml`: the edges that must be warm before a release."""
    presets: Path | None = None
    """Folder with presets of your own."""
    sentry_dsn: SecretStr | None = None
    """Where failed steps, and releases in danger, are reported. Default: nowhere."""
    webhook_url: SecretStr | None = None
    """`https://host/path`: where notices of releases in danger are posted. Default: nowhere."""
    webhook_secret: SecretStr | None = None
    """What those notices are signed with: 16 random characters or more."""
    host: Annotated[str | None, Field(pattern=r"^[\w.-]{1,64}$")] = None
    """What the ledger calls this machine; no two may have the same name. Default: its host name."""
    operator: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    """Who `avant release` says did it. Default: the operating system's user."""
    slots: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Heavy steps at a time on this machine. Default: one per processor."""
    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """How long a step stays a silent worker's."""
    quarantine_after: Annotated[int, Field(ge=1, le=1000)] = 5
    """So many workers may vanish (killed, crashed, cut off) from one step until it is set aside."""
    log_format: Literal["auto", "pretty", "json"] = "auto"
    """`auto`: pretty on a terminal, JSON elsewhere."""

    @property
    def machine(self) -> str:
        """What the ledger calls this machine."""
        return self.host or host_name()

    @property
    def ledger_address(self) -> str:
        """The ledger's address: SQLite needs nobody to start it."""
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    def environment(self) -> dict[str, str]:
        """What is set, as a child process reads it. Secrets stand here in the clear."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            f"AVANT_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in values.items()
            if value is not None
        }
