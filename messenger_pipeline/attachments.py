"""Joins the attachments that several statements of one message have. Pure.

Webhooks may state the attachments of a message one by one, and an answer of the API states all of
them, under other ids and URLs. The rules are those of the SQL function join_attachments; a test
compares the two.
"""

from dataclasses import dataclass
from typing import Any, Final

from messenger_pipeline.stable import print_json, stable_json, stable_url

_OF_ANSWERS: Final = frozenset(
    {"mime_type", "name", "size", "image_data", "video_data", "file_url", "generic_template"}
)
_URLS: Final = (
    ("payload", "url"), ("url",), ("URL",), ("video_data", "url"), ("image_data", "url"),
    ("file_url",),
)  # fmt: skip
_IDS: Final = ("id", "ig_post_media_id", "reel_video_id", "booking_id", "attachment_id")
_MEDIA: Final = frozenset({"image", "sticker", "video", "audio", "file", "other"})
_TWINS: Final = {"image": "sticker", "share": "ig_post"}
"""Meta sent both for a while. GRAPH_API.md: until 2026-08-30 and 2026-04-27."""


@dataclass(frozen=True)
class _Delivered:
    """An attachment in the form of webhooks."""

    key: str
    kind: str
    raw: Any


def join_attachments(stored: dict[str, Any], stated: dict[str, Any], later: bool) -> dict[str, Any]:
    """Join the attachments of two statements, given their metadata. Commutative and idempotent.

    Returns `attachments` with one entry per attachment, and `webhook_attachments` with those that
    another entry stands for; without the keys that would be empty. `later`: the second statement
    is the later one, so that its URLs are fresher.
    """
    statements = [(not later, list_attachments(stored)), (later, list_attachments(stated))]
    answer = _choose_answer(statements)
    delivered = _join_delivered(statements)
    represented = _find_represented(delivered, answer)
    apart = [one.raw for one in delivered if one.key not in represented]
    hidden = [one.raw for one in delivered if one.key in represented]
    joined = {"attachments": answer + apart, "webhook_attachments": hidden}
    return {name: value for name, value in joined.items() if value}


def list_attachments(metadata: dict[str, Any]) -> list[Any]:
    """All attachments in a message's metadata, those in webhook_attachments included."""
    found: list[Any] = []
    for name in ("attachments", "webhook_attachments"):
        value = metadata.get(name, [])
        found += value if isinstance(value, list) else [value]
    return [one for one in found if one is not None]


def attachment_key(attachment: Any) -> str:
    """What identifies an attachment within its message: its kind with an id, its coordinates or
    its URL, else all of it. A message has at most one sticker."""
    kind = attachment_kind(attachment)
    if kind == "sticker":
        return "sticker"
    coordinates = _at(attachment, "payload", "coordinates")
    if isinstance(coordinates, dict):
        return f"location {print_json(coordinates).decode()}"
    for name in _IDS:
        if (value := _at(attachment, "payload", name)) is not None and _is_id(value):
            return f"{kind} {name} {value}"
    if _is_id(own_id := _at(attachment, "id")):
        return f"id {own_id}"
    url = attachment_url(attachment)
    return stable_json(attachment) if url is None else f"url {url}"


def attachment_kind(attachment: Any) -> str:
    """The kind of an attachment, which the forms of webhooks and of the API share where they
    can."""
    if not isinstance(attachment, dict):
        return "other"
    if _is_of_answer(attachment):
        return _kind_of_answer(attachment)
    kind = attachment.get("type")
    if kind == "image" and _is_id(_at(attachment, "payload", "sticker_id")):
        return "sticker"
    if kind is None:
        return "other"
    return kind if isinstance(kind, str) else print_json(kind).decode()


def attachment_url(attachment: Any) -> str | None:
    """The main URL of an attachment, as stable_url has it."""
    for path in _URLS:
        if isinstance(url := _at(attachment, *path), str):
            return stable_url(url)
    return None


def _kind_of_answer(attachment: dict[str, Any]) -> str:
    if "generic_template" in attachment:
        return "template"
    for kind in ("video", "image"):
        if f"{kind}_data" in attachment:
            return kind
    mime_type = attachment.get("mime_type")
    kind = mime_type.partition("/")[0] if isinstance(mime_type, str) else ""
    return kind if kind in ("image", "video", "audio") else "file"


def _choose_answer(statements: list[tuple[bool, list[Any]]]) -> list[Any]:
    """The attachments of the answer that has more; of two with as many the greater."""
    answers = [
        (fresh, [one for one in listed if _is_of_answer(one)]) for fresh, listed in statements
    ]
    return max(answers, key=lambda one: (len(one[1]), stable_json(one[1]).encode(), one[0]))[1]


def _join_delivered(statements: list[tuple[bool, list[Any]]]) -> list[_Delivered]:
    """The attachments in the form of webhooks, one per key, in the order of their keys."""
    groups: dict[str, list[tuple[bool, bytes, bool, Any]]] = {}
    for fresh, listed in statements:
        for one in listed:
            if not _is_of_answer(one):
                current = _at(one, "type") not in tuple(_TWINS)
                rank = (current, stable_json(one).encode(), fresh)
                groups.setdefault(attachment_key(one), []).append((*rank, one))
    joined = []
    for key in sorted(groups, key=str.encode):
        raw = max(groups[key], key=lambda one: one[:3])[3]
        joined.append(_Delivered(key, attachment_kind(raw), raw))
    return joined


def _find_represented(delivered: list[_Delivered], answer: list[Any]) -> set[str]:
    """The keys of the attachments that another one stands for."""
    hidden: set[str] = set()
    for lesser, greater in _TWINS.items():
        twins = sum(one.kind == greater for one in delivered)
        hidden |= {one.key for one in [one for one in delivered if one.kind == lesser][:twins]}
    kinds = [attachment_kind(one) for one in answer]
    templates = kinds.count("template")
    rest = [one for one in delivered if one.key not in hidden]
    media = [one for one in rest if one.kind in _MEDIA]
    # Stable: those of one kind stay in the order of their keys.
    media.sort(key=lambda one: ("image" if one.kind == "sticker" else one.kind) not in kinds)
    hidden |= {one.key for one in media[: len(answer) - templates]}
    hidden |= {one.key for one in [one for one in rest if one.kind == "template"][:templates]}
    return hidden


def _is_of_answer(attachment: Any) -> bool:
    """Whether an attachment has the form of the API's answers; others have that of webhooks."""
    return (
        isinstance(attachment, dict)
        and "type" not in attachment
        and not _OF_ANSWERS.isdisjoint(attachment)
    )


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
