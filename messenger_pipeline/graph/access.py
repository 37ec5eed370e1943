"""What a token lets one do, and which apps get a page's webhooks: payloads, and reading them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from messenger_pipeline.errors import UnexpectedAnswer


class _Told(TypedDict):
    code: NotRequired[int | None]
    message: NotRequired[str | None]


class _Token(TypedDict):
    is_valid: bool
    expires_at: NotRequired[float | None]
    data_access_expires_at: NotRequired[float | None]
    scopes: NotRequired[list[str] | None]
    error: NotRequired[_Told | None]


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
    """What Meta says of a token. An expiry of None: never."""

    valid: bool
    reason: str | None
    """Why it is not valid, in Meta's words."""
    expires_at: datetime | None
    data_access_expires_at: datetime | None
    scopes: list[str] | None


@dataclass(frozen=True)
class SubscribedApp:
    """An app that gets a page's webhooks, and the fields of which it gets them."""

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
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise UnexpectedAnswer(
            f"The answer is not as documented: {where}: {fault['msg']}."
        ) from None


def _name(field: Any) -> str:
    """A field by name: newer versions tell objects of name and version elsewhere."""
    return str(field.get("name")) if isinstance(field, dict) else str(field)


def _time(seconds: float | None) -> datetime | None:
    """0 and less mean never."""
    if not seconds or seconds < 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None  # so far away that nobody need act
