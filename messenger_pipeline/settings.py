"""The settings. No other module reads the environment.

Each setting comes from the environment or from `.env` in the current directory. An invalid one
raises ConfigurationError, which names the setting and the remedy, but not the value.
"""

import re
from pathlib import Path
from typing import Annotated, Any

from cryptography.fernet import Fernet
from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from messenger_pipeline.errors import ConfigurationError
from messenger_pipeline.redaction import remember_secret


def _postgres_url(value: SecretStr) -> SecretStr:
    schemes = ("postgresql://", "postgres://", "postgresql+psycopg2://")
    if not value.get_secret_value().startswith(schemes):
        raise ValueError("give a URL such as postgresql://user:password@host:5432/database")
    user, _, _host = value.get_secret_value().partition("://")[2].partition("/")[0].rpartition("@")
    if "@" in user or re.search(r"%(?![0-9A-Fa-f]{2})", user):
        raise ValueError("percent-encode its user and password: @ as %40, % as %25")
    # Only SQLAlchemy understands a driver's name in the scheme.
    return SecretStr("postgresql://" + value.get_secret_value().partition("://")[2])


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
        raise ValueError("give a URL such as https://graph.facebook.com")
    return value.rstrip("/")


def _secret_http_url(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://\S+", value.get_secret_value()):
        raise ValueError("give a URL such as https://hooks.slack.com/services/…")
    return value


def _comma_separated(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]


class Settings(BaseSettings):
    """The MESSENGER_… and DAGSTER_… settings; the README describes each."""

    model_config = SettingsConfigDict(
        env_prefix="MESSENGER_",
        env_file=".env",
        extra="ignore",
        hide_input_in_errors=True,
        populate_by_name=True,
        env_ignore_empty=True,
        frozen=True,
    )

    home: Path = Path(".messenger")
    database_url: PostgresUrl | None = None
    listen_url: PostgresUrl | None = None
    database_schema: str = Field(
        "public", pattern=r"^[a-z_][a-z0-9_]{0,49}$", description="give a name such as messenger"
    )
    graph_url: Annotated[str, AfterValidator(_http_url)] = "https://graph.facebook.com"
    graph_version: str = Field(
        "v26.0", pattern=r"^v\d+\.\d+$", description="give a version such as v26.0"
    )
    calls_per_second: float = Field(
        2.0, gt=0, le=10_000, description="give a number such as 2, which is Meta's limit"
    )
    app_id: str = Field("default", pattern=r"^\w+$", description="give the app's id, digits only")
    app_secret: Annotated[list[SecretStr], NoDecode] = []
    verify_token: SecretStr | None = None
    api_key: SecretStr | None = None
    alert_url: Annotated[SecretStr, AfterValidator(_secret_http_url)] | None = None
    webhook_retention_days: float = Field(
        7.0, gt=0, le=3650, description="give a number of days such as 7"
    )
    token_key: Annotated[list[SecretStr], NoDecode] = []
    dagster_pg_url: PostgresUrl | None = Field(
        None, validation_alias=AliasChoices("DAGSTER_PG_URL", "dagster_pg_url")
    )
    dagster_home: Path | None = Field(
        None, validation_alias=AliasChoices("DAGSTER_HOME", "dagster_home")
    )

    _split = field_validator("app_secret", "token_key", mode="before")(_comma_separated)

    @field_validator("token_key")
    @classmethod
    def _fernet_keys(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for key in keys:
            try:
                Fernet(key.get_secret_value())
            except ValueError:
                raise ValueError(
                    "each key must be 32 random bytes in URL-safe base64;"
                    " `messenger-pipeline key` creates one"
                ) from None
        return keys

    @property
    def embedded(self) -> bool:
        """Whether the data is in the embedded PostgreSQL under `home`."""
        return self.database_url is None


def load_settings(**overrides: Any) -> Settings:
    """Read and validate the settings. Raises ConfigurationError."""
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None
    for value in dict(settings).values():
        for secret in value if isinstance(value, list) else [value]:
            if isinstance(secret, SecretStr):
                remember_secret(secret.get_secret_value())
    return settings


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        field = str(fault["loc"][0]) if fault["loc"] else "settings"
        name = field if field.isupper() else f"MESSENGER_{field.upper()}"
        context = fault.get("ctx", {})
        reason = str(context["error"]) if "error" in context else fault["msg"]
        known = Settings.model_fields.get(field)
        remedy = f"; {known.description}" if known and known.description else ""
        lines.append(f"The setting {name} is wrong: {reason}{remedy}.")
    return "\n".join(lines)
