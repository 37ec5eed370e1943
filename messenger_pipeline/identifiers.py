"""The ids of people, in answers and webhooks. Pure."""

_PLACEHOLDER = "0 "


def usable_id(value: object) -> str | None:
    """An id as text; None for what identifies nobody.

    A deleted account has no id, an empty one or 0. Meta's tests name the page 0.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value.strip(_PLACEHOLDER) else None
