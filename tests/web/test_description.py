"""The receiver is as its OpenAPI description says: requests made up from it, right and wrong."""

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

from messenger_pipeline.db.pool import Database
from messenger_pipeline.db.receiving import GroupCommit
from messenger_pipeline.web.app import create_app
from tests.db.test_load import query
from tests.web.conftest import TOKEN, Receiving, received_at, signature

_SIGNATURE = "X-Hub-Signature-256"


class Signing(requests.auth.AuthBase):
    """Signs about half of the bodies rightly, of those that are signed as described at all."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str | None, int]] = Counter()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        told = str(request.headers.get(_SIGNATURE, ""))
        if re.fullmatch("sha256=[0-9a-f]{64}", told) and zlib.crc32(body + told.encode()) % 2:
            request.headers[_SIGNATURE] = signature(body)
        request.hooks["response"].append(self._count)
        return request

    def _count(self, answer: requests.Response, **_: object) -> None:
        self.answers[answer.request.method, answer.status_code] += 1


@pytest.fixture(scope="module")
def session(web_database: Database) -> Iterator[requests.Session]:
    """In the end, some of what was made up was believed and kept, and some was not."""
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
    commit = GroupCommit("postgresql://127.0.0.1:9/nowhere", "public", lambda _: None)
    return schemathesis.openapi.from_dict(create_app(commit, [], "", nullcontext).openapi())


schema = describe()


@schema.parametrize()
@settings(max_examples=150)
def test_every_answer_is_as_described(
    case: schemathesis.Case[Any], served: Receiving, session: requests.Session
) -> None:
    if (
        case.query
        and zlib.crc32(repr(case.query).encode()) % 2
        and "hub.verify_token" in case.query
    ):
        case.query["hub.verify_token"] = TOKEN
    case.call_and_validate(base_url=served.url, session=session)


def test_answers_without_the_database_are_described_too() -> None:
    with received_at("postgresql://nobody@127.0.0.1:9/nowhere") as away:
        for case in (
            schema["/readyz"]["GET"].Case(),
            schema["/api/webhook"]["POST"].Case(body={"object": "page"}),
        ):
            answer = case.call(base_url=away.url, auth=_sign)
            assert answer.status_code == 503
            case.validate_response(answer, excluded_checks=[not_a_server_error])


def _sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
    assert isinstance(request.body, bytes | None)
    request.headers[_SIGNATURE] = signature(request.body or b"")
    return request


def test_it_describes_the_webhook_and_its_health(served: Receiving) -> None:
    told = requests.get(f"{served.url}/openapi.json", timeout=30).json()
    answered = {
        (path, method): {*operation["responses"]}
        for path, operations in told["paths"].items()
        for method, operation in operations.items()
    }
    assert told == schema.raw_schema
    assert answered == {
        ("/healthz", "get"): {"200"},
        ("/readyz", "get"): {"200", "503"},
        ("/api/webhook", "get"): {"200", "403"},
        ("/api/webhook", "head"): {"200", "403"},
        ("/api/webhook", "post"): {"200", "403", "413", "503"},
    }
