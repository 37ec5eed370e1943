"""What Meta's refusal of a request for the list of threads means for the walk. Pure."""

from messenger_pipeline.errors import (
    CursorRefused,
    GraphError,
    ListRefused,
    ObjectRefused,
    PermissionMissing,
    TooMuchData,
)

_NO_ACCESS = 33
"""Subcode of code 100: "does not exist, cannot be loaded due to missing permissions, or does not
support this operation". Source: Graph API, "Handle Errors"."""


def translate_list_error(error: TooMuchData | ObjectRefused, after: str | None) -> GraphError:
    """The error to raise for a refused request, which asked from the cursor `after`.

    TooMuchData of the smallest request means that Meta does not list this page: ListRefused. A
    page that was listed without a cursor is readable, so with one it is the cursor that Meta
    refuses: CursorRefused. Other errors are returned unchanged.
    """
    if isinstance(error, TooMuchData):
        return ListRefused(str(error))
    if after is not None:
        return CursorRefused(str(error))
    if error.subcode == _NO_ACCESS:
        return PermissionMissing(f"The token has no access to the page's conversations: {error}")
    return error
