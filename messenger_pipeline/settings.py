"""The settings. No other module reads the environment.

Each setting comes from the environment or from `.env` in the current directory. An invalid one
raises ConfigurationError, which names the setting and the remedy, but not the value.
"""

import difflib
import logging
import os
import re
from pathlib import Path
from typing import Annotated, Any

from cryptography.fernet import Fernet
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from messenger_pipeline.errors import ConfigurationError
from messenger_pipeline.postgres_url import clean_postgres_url
from messenger_pipeline.redaction import remember_secret

_PREFIX = "MESSENGER_"
_ENV_FILE = ".env"
_ENCODING = "utf-8-sig"  # Windows' editors put a byte order mark at the beginning of a file
_OF_TESTS = ("MESSENGER_TEST_", "MESSENGER_CRASH_", "MESSENGER_BACKFILL_", "MESSENGER_PAYLOADS")
"""Variables of this project's own tests and benchmarks."""
MAX_WAIT_SECONDS = 900
"""How long a request waits for its sync at most: a caller that is gone without a word must not keep
its place for long."""
_log = logging.getLogger(__name__)
_reported: set[str] = set()


def _postgres_url(value: SecretStr, info: ValidationInfo) -> SecretStr:
    schema = info.data.get("database_schema", "public")
    return SecretStr(clean_postgres_url(value.get_secret_value(), schema))


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
        raise ValueError("give a URL such as https://graph.facebook.com")
    return value.rstrip("/")


def _secret_http_url(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://\S+", value.get_secret_value()):
        raise ValueError("give a URL such as https://hooks.slack.com/services/…")
    return value


def _origin(value: str) -> str:
    """An origin as browsers send it: lower case, and no port that the scheme implies."""
    if not re.fullmatch(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?", value):
        raise ValueError(
            "give exact origins such as https://app.example.com, in lower case, without a path"
        )
    if value.endswith((":80", ":443")) and value.startswith(
        ("http://", "https://")[value.endswith(":443")]
    ):
        raise ValueError("leave out the port that is the scheme's own: browsers do not send it")
    return value


def _comma_separated(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]


class _Home(BaseSettings):
    """The one setting that is needed where the others may be wrong."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_file=_ENV_FILE,
        env_file_encoding=_ENCODING,
        extra="ignore",
        hide_input_in_errors=True,
        populate_by_name=True,
        env_ignore_empty=True,
        frozen=True,
    )

    home: Path = Path(".messenger")


class Settings(_Home):
    """The MESSENGER_… and DAGSTER_… settings; docs/settings.md describes each."""

    # Before the URLs, which are compared to it.
    database_schema: str = Field(
        "public",
        pattern=r"^[a-z_][a-z0-9_]{0,49}$",
        description="give a name such as messenger, of at most 50 lower-case letters",
    )
    database_url: PostgresUrl | None = None
    listen_url: PostgresUrl | None = None
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
    allowed_origins: Annotated[list[Annotated[str, AfterValidator(_origin)]], NoDecode] = []
    sync_wait_seconds: int = Field(
        0, ge=0, le=MAX_WAIT_SECONDS, description=f"give seconds from 0 to {MAX_WAIT_SECONDS}"
    )
    sync_waiters: int = Field(
        1000, ge=0, le=100_000, description="give a number of requests such as 1000"
    )
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

    _split = field_validator("app_secret", "token_key", "allowed_origins", mode="before")(
        _comma_separated
    )

    @model_validator(mode="before")
    @classmethod
    def _remember_secrets(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Redact the secrets from now on, wrong ones too."""
        for name, value in values.items():
            field = cls.model_fields.get(name.lower())
            if field and "SecretStr" in repr(field.annotation) and isinstance(value, str):
                is_list = "list" in repr(field.annotation)
                for secret in {value, *(_comma_separated(value) if is_list else ())}:
                    remember_secret(secret)
        return values

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
    """Read and validate the settings. Raises ConfigurationError.

    Logs a warning, once in a process, about each variable that looks like a setting and is none.
    """
    try:
        settings = Settings(**overrides)
        unknown = _find_unknown()
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None
    except UnicodeError:
        raise ConfigurationError(f"The file {_ENV_FILE} is not UTF-8: save it as UTF-8.") from None
    except (OSError, SettingsError) as error:
        reason = getattr(error, "strerror", None) or "its settings cannot be read"
        raise ConfigurationError(f"The file {_ENV_FILE} cannot be read: {reason}.") from None
    for name in sorted(unknown - _reported):
        _reported.add(name)
        _log.warning("%s", _explain_unknown(name))
    for value in dict(settings).values():
        for secret in value if isinstance(value, list) else [value]:
            if isinstance(secret, SecretStr):
                remember_secret(secret.get_secret_value())
    return settings


def read_home() -> Path:
    """MESSENGER_HOME, whether or not the other settings are valid."""
    return _Home().home


def _find_unknown() -> set[str]:
    """Return the names of variables that look like settings of ours and are none."""
    # Another program's may have our prefix: Symfony's MESSENGER_TRANSPORT_DSN. So none is an error.
    names = {*os.environ, *dotenv_values(_ENV_FILE, encoding=_ENCODING, interpolate=False)}
    known = _names()
    return {
        name
        for name in names
        if name.upper().startswith(_PREFIX)
        and name.upper() not in known
        and not name.upper().startswith(_OF_TESTS)
    }


def _names() -> set[str]:
    return {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}


def _explain_unknown(name: str) -> str:
    close = difflib.get_close_matches(name.upper(), sorted(_names()), n=1, cutoff=0.8)
    remedy = f"Did you mean {close[0]}?" if close else "docs/settings.md lists the settings."
    return f"{name} is not a setting of messenger-pipeline, and has no effect. {remedy}"


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        field = str(fault["loc"][0]) if fault["loc"] else "settings"
        name = field if field.isupper() else f"{_PREFIX}{field.upper()}"
        context = fault.get("ctx", {})
        reason = str(context["error"]) if "error" in context else fault["msg"]
        known = Settings.model_fields.get(field)
        remedy = f"; {known.description}" if known and known.description else ""
        lines.append(f"The setting {name} is wrong: {reason}{remedy}.")
    return "\n".join(lines)
