"""The receiver conforms to its OpenAPI description, for generated requests, valid and invalid."""

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import ignored_auth

from messenger_pipeline.db.group_commit import GroupCommit
from messenger_pipeline.db.pool import Database
from messenger_pipeline.web.app import WEBHOOK, Control, create_app
from tests.db.test_load import query
from tests.web.conftest import KEY, TOKEN, Receiver, signature

_SIGNATURE = "X-Hub-Signature-256"


class Signing(requests.auth.AuthBase):
    """Gives about half of the requests with a well-formed signature a valid one.

    Counts the responses to deliveries.
    """

    def __init__(self) -> None:
        self.answers: Counter[tuple[str | None, int]] = Counter()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        given = str(request.headers.get(_SIGNATURE, ""))
        if re.fullmatch("sha256=[0-9a-f]{64}", given) and zlib.crc32(body + given.encode()) % 2:
            request.headers[_SIGNATURE] = signature(body)
        if str(request.url).partition("?")[0].endswith(WEBHOOK):
            request.hooks["response"].append(self._count)
        return request

    def _count(self, answer: requests.Response, **_: object) -> None:
        self.answers[answer.request.method, answer.status_code] += 1


@pytest.fixture(scope="module")
def session(web_database: Database) -> Iterator[requests.Session]:
    """Asserts at the end that some generated deliveries were stored, and some refused."""
    signing = Signing()
    before = _count_stored(web_database)
    with requests.Session() as session:
        session.auth = signing
        yield session
    for method in {"GET", "POST"} & {method for method, _ in signing.answers}:
        assert min(signing.answers[method, status] for status in (200, 403)) > 10, signing.answers
    assert _count_stored(web_database) - before == signing.answers["POST", 200]


def _count_stored(database: Database) -> int:
    [(stored,)] = query(database, "select count(*) from webhook_inbox")
    return int(stored)


def describe() -> schemathesis.BaseSchema:
    nowhere = "postgresql://127.0.0.1:9/nowhere"
    commit = GroupCommit(nowhere, "public", lambda _: None)
    control = Control(Database(nowhere), nowhere, None)
    app = create_app(commit, [], "", nullcontext, control)
    return schemathesis.openapi.from_dict(app.openapi())


schema = describe()
REFUSED = ("401", "403", "503")
REQUESTED = {"200", "202", "400", "404", "409", "413", "422", "502", *REFUSED}
ENDLESS = {"/api/conversations/events"}


@schema.parametrize()
@settings(max_examples=150)
def test_every_response_conforms_to_the_description(
    case: schemathesis.Case[Any], served: Receiver, session: requests.Session
) -> None:
    if (
        case.query
        and zlib.crc32(repr(case.query).encode()) % 2
        and "hub.verify_token" in case.query
    ):
        case.query["hub.verify_token"] = TOKEN
    if case.path in ENDLESS:
        return  # test_events.py reads it
    # Most have the key: without it every response is a 401.
    key = {} if zlib.crc32(repr(case.body).encode()) % 8 == 0 else {"X-API-Key": KEY.encode()}
    case.call_and_validate(
        base_url=served.url, session=session, headers=key, excluded_checks=[ignored_auth]
    )


def test_responses_without_the_database_conform_too(without_database: Receiver) -> None:
    for case in (
        schema["/readyz"]["GET"].Case(),
        schema["/api/webhook"]["POST"].Case(body={"object": "page"}),
        schema["/api/overview"]["GET"].Case(),
        schema["/api/conversations/sync"]["POST"].Case(body={"pageId": "1"}),
    ):
        answer = case.call(
            base_url=without_database.url, auth=_sign, headers={"X-API-Key": KEY.encode()}
        )
        assert answer.status_code == 503
        case.validate_response(answer, excluded_checks=[not_a_server_error, ignored_auth])


def _sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
    assert isinstance(request.body, bytes | None)
    request.headers[_SIGNATURE] = signature(request.body or b"")
    return request


def test_the_description_lists_all_routes_and_statuses(served: Receiver) -> None:
    description = requests.get(f"{served.url}/openapi.json", timeout=30).json()
    answered = {
        (path, method): {*operation["responses"]}
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    }
    assert description == schema.raw_schema
    assert answered == {
        ("/healthz", "get"): {"200"},
        ("/readyz", "get"): {"200", "503"},
        ("/metrics", "get"): {"200"},
        ("/login", "post"): {"204", "400", "401", "413", "422"},
        ("/logout", "post"): {"204"},
        ("/api/overview", "get"): {"200", *REFUSED},
        ("/api/pages", "get"): {"200", "422", *REFUSED},
        ("/api/conversations/events", "get"): {"200", "422", *REFUSED},
        ("/api/conversations/sync", "get"): {"200", "404", "422", *REFUSED},
        ("/api/conversations/sync", "post"): REQUESTED,
        ("/api/conversations/sync-fixed", "post"): REQUESTED,
        ("/api/conversations/sync-optimized", "post"): REQUESTED,
        ("/api/conversations/sync-stream", "post"): REQUESTED - {"502"},
        ("/api/conversations/sync-stream", "get"): {"204", *REQUESTED} - {"502"},
        ("/api/conversations/sync/{sync_session_id}", "get"): {"200", "404", "422", *REFUSED},
        ("/api/conversations/sync/{sync_session_id}/events", "get"): {
            "200",
            "204",
            "404",
            "422",
            *REFUSED,
        },
        ("/api/webhook", "get"): {"200", "403"},
        ("/api/webhook", "head"): {"200", "403"},
        ("/api/webhook", "post"): {"200", "403", "413", "503"},
    }
