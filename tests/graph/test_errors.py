"""Meta's errors as types."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline import errors
from messenger_pipeline.graph.errors import parse_error


def fault(error: Any, status: int = 400, headers: dict[str, str] | None = None) -> Any:
    return parse_error(status, json.dumps({"error": error}).encode(), headers or {})


@pytest.mark.parametrize(
    ("error", "kind", "exit_code"),
    [
        ({"code": 1, "message": "An unknown error occurred"}, errors.TransientError, 1),
        ({"code": 1, "message": "Please reduce the amount of data"}, errors.TooMuchData, 1),
        ({"code": 2}, errors.TransientError, 1),
        ({"code": 4}, errors.RateLimited, 1),
        ({"code": 17}, errors.RateLimited, 1),
        ({"code": 32}, errors.RateLimited, 1),
        ({"code": 613}, errors.RateLimited, 1),
        ({"code": 80001}, errors.RateLimited, 1),
        ({"code": 80006}, errors.RateLimited, 1),
        ({"code": 10}, errors.PermissionMissing, 5),
        ({"code": 200}, errors.PermissionMissing, 5),
        ({"code": 299}, errors.PermissionMissing, 5),
        ({"code": 102}, errors.TokenDead, 5),
        ({"code": 190, "error_subcode": 463}, errors.TokenDead, 5),
        ({"code": 100, "error_subcode": 33}, errors.ObjectRefused, 1),
        ({"code": 104}, errors.GraphConfigurationError, 2),
        ({"code": 2500}, errors.GraphConfigurationError, 2),
        ({"code": 100, "message": "Invalid appsecret_proof"}, errors.GraphConfigurationError, 2),
        ({"code": 368}, errors.PageBlocked, 1),
        ({"code": 100, "message": "(#100) Invalid cursors values"}, errors.CursorRefused, 1),
        (
            {"code": 100, "message": "(#100) The After Cursor specified exceeds the max limit"},
            errors.CursorRefused,
            1,
        ),
        ({"code": 341}, errors.RateLimited, 1),
        ({"code": -1}, errors.TransientError, 1),
        ({"code": -3}, errors.TransientError, 1),
        ({"code": 1200}, errors.TransientError, 1),
        ({"code": 9999, "is_transient": True}, errors.TransientError, 1),
        ({"code": 9999}, errors.TransientError, 1),
        ({"message": "a body without a code"}, errors.TransientError, 1),
        ({"code": 100, "is_transient": True}, errors.TransientError, 1),
        ({"code": 190, "is_transient": True}, errors.TransientError, 1),
        ({"code": 4, "is_transient": True}, errors.RateLimited, 1),
        ({"code": 551}, errors.ObjectRefused, 1),
        ({"code": 9010}, errors.ObjectRefused, 1),
        ({"code": 1, "error_subcode": 99}, errors.TransientError, 1),
        ({"code": 2, "error_subcode": 2018344}, errors.ContactTermsNotAccepted, 5),
        ({"code": 10, "error_subcode": 1893063}, errors.SendingRestricted, 1),
        (
            {"code": 100, "message": "Unsupported request - method type: get"},
            errors.RequestUnsupported,
            1,
        ),
        (
            {"code": 100, "message": "(#100) The 'limit' parameter should not exceed 100"},
            errors.TooMuchData,
            1,
        ),
        ({"code": 1e999}, errors.TransientError, 1),
    ],
)
def test_the_code_decides_the_type_of_an_error(
    error: Any, kind: type[errors.PipelineError], exit_code: int
) -> None:
    found = fault(error)
    assert type(found) is kind
    assert found.exit_code == exit_code


def test_an_error_has_metas_codes_and_no_token() -> None:
    found = parse_error(
        400,
        b'{"error": {"message": "bad access_token=EAAB and EAAsecret", "code": "190",'
        b' "error_subcode": 460, "fbtrace_id": "Ax"}}',
        {},
        "EAAsecret",
    )
    assert (found.code, found.subcode, found.trace_id) == (190, 460, "Ax")  # type: ignore[union-attr]
    assert str(found) == "bad access_token=*** and *** (code 190, subcode 460, HTTP 400, trace Ax)"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, b"<html>", errors.TransientError),
        (408, b"", errors.TransientError),
        (429, b"", errors.RateLimited),
        (400, b"<html>", errors.UnexpectedAnswer),
        (400, b'{"error_code": 190, "error_description": "x"}', errors.TokenDead),
        (400, b'{"error_message": "x", "error_code": "1"}', errors.TransientError),
        (400, b'{"error": "x"}', errors.TransientError),
        (504, b"<html>504 Gateway Time-out</html>", errors.TransientError),
        (429, b'{"error": {"code": 9999}}', errors.RateLimited),
        (500, b"[" * 100_000, errors.TransientError),
    ],
)
def test_errors_with_undocumented_bodies_get_the_type_of_their_code_or_status(
    status: int, body: bytes, kind: type
) -> None:
    assert type(parse_error(status, body, {})) is kind


def test_an_answer_with_status_200_can_contain_an_error() -> None:
    assert parse_error(200, b'{"data": []}', {}) is None
    assert type(fault({"code": 190}, status=200)) is errors.TokenDead


@pytest.mark.parametrize(
    ("code", "scope"),
    [(4, "app"), (341, "app"), (17, "token"), (32, "page"), (613, "page"), (80006, "page")],
)
def test_a_limit_has_the_scope_that_it_pauses(code: int, scope: str) -> None:
    assert fault({"code": code}).scope == scope


def test_a_limit_has_the_seconds_to_wait_from_the_headers() -> None:
    business = (
        '{"1": [{"type": "messenger", "call_count": 100, "estimated_time_to_regain_access": 19}]}'
    )
    assert fault({"code": 80006}, headers={"X-Business-Use-Case-Usage": business}).seconds == 1140
    assert fault({"code": 4}, headers={"Retry-After": "30"}).seconds == 30
    assert fault({"code": 4}).seconds is None
    assert fault({"code": 368}).seconds == 4 * 3600
    assert fault({"code": 2}, headers={"Retry-After": "7"}).seconds == 7
    assert fault({"code": 2}, headers={"Retry-After": "7000"}).seconds == 60
    assert parse_error(503, b"", {"Retry-After": "7"}).seconds == 7  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("86400000", 86_400), ("inf", 86_400), ("nan", None), ("-5", None), ("0", None),
     ("soon", None), ("", None), ("1e400", 86_400)],
)  # fmt: skip
def test_a_retry_after_is_at_most_a_day_and_one_that_makes_no_sense_is_ignored(
    value: str, seconds: float | None
) -> None:
    assert fault({"code": 4}, headers={"Retry-After": value}).seconds == seconds


@pytest.mark.parametrize(
    ("ahead", "least", "most"),
    [
        (timedelta(minutes=10), 590, 600),
        (timedelta(days=30), 86_400, 86_400),
    ],
)
def test_a_retry_after_may_be_a_date(ahead: timedelta, least: float, most: float) -> None:
    date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
    assert least <= fault({"code": 4}, headers={"Retry-After": date}).seconds <= most


@pytest.mark.parametrize("date", ["Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 99 Nov 2026 99:99:99 GMT"])
def test_a_retry_after_of_the_past_or_of_no_calendar_is_ignored(date: str) -> None:
    assert fault({"code": 4}, headers={"Retry-After": date}).seconds is None


@given(st.text())
def test_no_retry_after_raises_an_error(value: str) -> None:
    seconds = fault({"code": 4}, headers={"Retry-After": value}).seconds
    assert seconds is None or 0 < seconds <= 86_400


def test_an_unknown_error_names_what_it_can_mean_if_it_lasts() -> None:
    found = fault({"code": 1, "message": "An unknown error occurred", "error_subcode": 99}, 500)
    assert "Advanced Access" in str(found)


def test_contact_terms_are_the_owners_to_accept_and_need_no_new_token() -> None:
    found = fault({"code": 2, "error_subcode": 2018344, "message": "terms"}, 500)
    found.name_page("10")
    assert "page 10 has to accept Meta's Page Contact Terms" in str(found)
    assert "pages add" not in str(found)
