"""Parsing what Meta returns about a token's access, and about the apps that receive webhooks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from messenger_pipeline.errors import UnexpectedAnswer


class _TokenError(TypedDict):
    code: NotRequired[int | None]
    message: NotRequired[str | None]


class _Token(TypedDict):
    is_valid: bool
    expires_at: NotRequired[float | None]
    data_access_expires_at: NotRequired[float | None]
    scopes: NotRequired[list[str] | None]
    error: NotRequired[_TokenError | None]


class _DebugToken(TypedDict):
    data: _Token


class _App(TypedDict):
    id: NotRequired[str | int | None]
    subscribed_fields: NotRequired[list[Any] | None]


class _Apps(TypedDict):
    data: list[_App]


_debug_token = TypeAdapter(_DebugToken)
_apps = TypeAdapter(_Apps)


@dataclass(frozen=True)
class TokenState:
    """The state of a token. An expiry of None means never."""

    valid: bool
    reason: str | None
    """Why it is not valid, as Meta words it."""
    expires_at: datetime | None
    data_access_expires_at: datetime | None
    scopes: list[str] | None


@dataclass(frozen=True)
class SubscribedApp:
    """An app that receives a page's webhooks, and the fields that it is subscribed to."""

    id: str | None
    fields: list[str]


def parse_token_state(body: bytes) -> TokenState:
    """Raises UnexpectedAnswer."""
    token: _Token = _parse(_debug_token, body)["data"]
    return TokenState(
        token["is_valid"],
        (token.get("error") or {}).get("message"),
        _time(token.get("expires_at")),
        _time(token.get("data_access_expires_at")),
        token.get("scopes"),
    )


def parse_subscribed_apps(body: bytes) -> list[SubscribedApp]:
    """Raises UnexpectedAnswer."""
    found: Iterable[_App] = _parse(_apps, body)["data"]
    return [
        SubscribedApp(
            str(app["id"]) if app.get("id") is not None else None,
            [_name(field) for field in app.get("subscribed_fields") or []],
        )
        for app in found
    ]


def _parse(adapter: TypeAdapter[Any], body: bytes) -> Any:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnexpectedAnswer(
            f"The answer is not as documented: {where}: {first['msg']}."
        ) from None


def _name(field: Any) -> str:
    """The name of a field, which newer versions of the API return as an object."""
    return str(field.get("name")) if isinstance(field, dict) else str(field)


def _time(seconds: float | None) -> datetime | None:
    """A Unix time; None for 0 and less, which mean never."""
    if not seconds or seconds < 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None  # too far in the future to matter
