"""Redaction of secrets in text."""

import pytest

from messenger_pipeline.redaction import redact


@pytest.mark.parametrize(
    "text",
    [
        "GET /v26.0/me?access_token=SECRET&x=1",
        "url: /debug_token?input_token=SECRET (Caused by",
        '{"access_token": "SECRET"}',
        "appsecret_proof=SECRET",
        "client_secret: SECRET",
        "Authorization: Bearer SECRET",
        "Access_Token=SECRET",
    ],
)
def test_values_of_secret_parameters_are_redacted(text: str) -> None:
    assert "SECRET" not in redact(text)
    assert "***" in redact(text)


def test_given_secrets_are_redacted_anywhere_in_a_text() -> None:
    assert redact("the token EAAB is bad", "EAAB", "") == "the token *** is bad"


def test_other_text_is_unchanged() -> None:
    assert redact("limit=5&after=QVFI") == "limit=5&after=QVFI"
