"""JSON as PostgreSQL prints it, and what stays the same when Meta signs a URL again. Pure."""

import json
import re
from typing import Any, Final

_HOSTS: Final = r"\.(?:fbcdn\.net|fbsbx\.com|cdninstagram\.com)"
_CDN_URL = re.compile(rf'"https?://[^"/]*{_HOSTS}[^"]*"')
_CDN = re.compile(rf"https?://[^/?#]*{_HOSTS}[/?]")
_PATH = re.compile(r"https?://[^/?#]*([^?#]*)")
_ASSET = re.compile(r"[?&]asset_id=([^&#]+)")
_SIZE = re.compile(r"/[psc][0-9][0-9x.]*(?=/)")


def stable_content(metadata: dict[str, Any] | None) -> str:
    """An event's metadata as text that differs only if the content differs.

    It is the JSON as PostgreSQL prints it, without the URLs of Meta's content network: each
    answer signs them again, and they expire. A message's text is kept as it is, at the end, even
    if it looks like such a URL.
    """
    if metadata is None:
        return ""
    rest = {name: value for name, value in metadata.items() if name != "text"}
    text = print_json(metadata["text"]).decode() if "text" in metadata else ""
    return stable_json(rest) + text


def stable_json(value: Any) -> str:
    """A JSON value as text, without the URLs of Meta's content network."""
    return _CDN_URL.sub('""', print_json(value).decode())


def stable_url(url: str) -> str:
    """What stays the same of a URL when Meta signs it again: of one of its content network the
    asset's id, else the path without the size of the picture; of any other URL all of it."""
    if not _CDN.match(url):
        return url
    asset = _ASSET.search(url)
    if asset:
        return f"asset {asset[1]}"
    path = _PATH.match(url)
    assert path
    return _SIZE.sub("", path[1])


def print_json(value: Any) -> bytes:
    """A value as PostgreSQL prints jsonb, in UTF-8."""
    return json.dumps(_sort_keys(value), ensure_ascii=False).encode()


def _sort_keys(value: Any) -> Any:
    """A value with its keys in jsonb's order: by their length in bytes, then by their bytes."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return {key: _sort_keys(value[key]) for key in keys}
    if isinstance(value, list):
        return [_sort_keys(one) for one in value]
    return value
