"""What refusals of the list mean for the walk."""

import pytest

from messenger_pipeline.errors import (
    CursorRefused,
    GraphError,
    ListRefused,
    ObjectRefused,
    PermissionMissing,
    TooMuchData,
)
from messenger_pipeline.sync.list_errors import translate_list_error


@pytest.mark.parametrize(
    ("error", "after", "kind"),
    [
        (TooMuchData("too much", code=1), None, ListRefused),
        (TooMuchData("too much", code=1), "C", ListRefused),
        (ObjectRefused("no", code=100, subcode=33), None, PermissionMissing),
        (ObjectRefused("no", code=100, subcode=33), "C", CursorRefused),
        (ObjectRefused("no", code=100), None, ObjectRefused),
        (ObjectRefused("no", code=100), "C", CursorRefused),
        (CursorRefused("no", code=100), "C", CursorRefused),
        (CursorRefused("no", code=100), None, CursorRefused),
    ],
)
def test_the_error_and_the_cursor_decide(
    error: TooMuchData | ObjectRefused, after: str | None, kind: type[GraphError]
) -> None:
    translated = translate_list_error(error, after)
    assert type(translated) is kind
    assert str(error) in str(translated), "Meta's words and codes are lost"
