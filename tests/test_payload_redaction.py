"""Secrets in the addresses of payloads: removed before anything is stored, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.db import inbox
from messenger_pipeline.db.load import encode
from messenger_pipeline.db.pages import register_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.payload_redaction import redact_payload
from messenger_pipeline.redaction import kept_secret
from messenger_pipeline.webhook.drain import drain_batch
from tests.db.test_load import query
from tests.webhook.bodies import PAGE, body, text

TOKEN = "EAABsbCS1iHgBAKZC|x-y_z.9ZD"
ENCODED = "EAABsbCS1iHgBAKZC%7Cx-y_z.9ZD"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (
            '{"u":"https://x.y/?access_token=TOKEN&a=1"}',
            '{"u":"https://x.y/?access_token=***&a=1"}',
        ),
        (
            '{"u":"https://x.y/?a=1&access_token=TOKEN"}',
            '{"u":"https://x.y/?a=1&access_token=***"}',
        ),
        ("https:\\/\\/x.y\\/?a\\u0026access_token\\u003dTOKEN\\u0026b", None),
        ("https%3A%2F%2Fx.y%2F%3Faccess_token%3DTOKEN%26b%3D2", None),
        ("https%253A%252F%252Fx.y%252F%253Faccess_token%253DTOKEN%2526b", None),
        ("https://x.y/?access%5Ftoken=TOKEN", None),
        ("https://x.y/#access_token=TOKEN&expires_in=1", None),
        ("https://x.y/?a=1&amp;access_token=TOKEN", None),
        ("https://x.y/?user_access_token=TOKEN", None),
        ("https://x.y/?appsecret_proof=TOKEN&input_token=TOKEN&client_secret=TOKEN", None),
        ('"{\\"url\\":\\"https://x.y/?access_token=TOKEN\\",\\"n\\":1}"', None),
        ("(see https://x.y/?access_token=TOKEN).", "(see https://x.y/?access_token=***)."),
        ("见 https://x.y/?access_token=TOKEN，谢谢", "见 https://x.y/?access_token=***，谢谢"),
        ("graph.facebook.com/me?access_token=TOKEN", None),
        ("https://x.y/?APPSECRET_PROOF=TOKEN&a=1", None),
        ("https://x.y/?Client_Secret=TOKEN", None),
        ("https://x.y/#/access_token=TOKEN", None),
        ("https://x.y/?user[access_token]=TOKEN&a=1", None),
        ("https://x.y/?user%5Baccess_token%5D=TOKEN", None),
        ("https://x.y/?access_token=%20TOKEN", "https://x.y/?access_token=***"),
        ("https://x.y/?access_token=%22TOKEN%22&a=1", "https://x.y/?access_token=***%22&a=1"),
        (f"https://x.y/?state={'a' * 5000}&access_token=TOKEN", None),
        ('{"access_token":"TOKEN","a":1}', None),
        ('{"a": {"Page_Access_Token" : "TOKEN"}}', None),
        ('{"client_secret": "TOKEN \\" and more"}', '{"client_secret": "***"}'),
        ('"{\\"access_token\\": \\"TOKEN\\", \\"n\\": 1}"', None),
        ('"{\\\\\\"access\\\\u005ftoken\\\\\\":\\\\\\"TOKEN\\\\\\"}"', None),
        (
            '{"access_token":null,"verify_token":"","a":"access_token","b":"x"}',
            '{"access_token":null,"verify_token":"","a":"access_token","b":"x"}',
        ),
        ('"{\\"u\\":\\"https://x.y/?a\\\\u0026access\\\\u005ftoken\\\\u003dTOKEN\\"}"', None),
    ],
)
def test_an_address_is_stored_without_the_value_of_its_secret(
    given: str, stored: str | None
) -> None:
    """Nothing but the value is gone, in whichever form the address is spelled."""
    for token in (TOKEN, ENCODED, TOKEN.replace("|", "\\u007c")):
        redacted = redact_payload(given.replace("TOKEN", token).encode()).decode()
        assert redacted == (stored or given.replace("TOKEN", "***"))
        assert redact_payload(redacted.encode()).decode() == redacted


@pytest.mark.parametrize(
    "content",
    [
        "my access_token=abc is secret", "what?access_token=abc", "access_token", "?access_token=",
        "the token: a client_secret is needed", "https://x.y/access_token", "a.b&token=1",
        "https://x.y/?token=abc&my_access_tokens=1",
    ],
)  # fmt: skip
def test_what_is_no_address_with_a_secret_stays(content: str) -> None:
    encoded = json.dumps({"text": content}).encode()
    assert redact_payload(encoded) is encoded or redact_payload(encoded) == encoded


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40)
    | st.sampled_from(["token", "secret", "access_token", "?&=", "https://x.y/?a=1&b=%26#c"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)  # fmt: skip


@given(_values, st.booleans())
def test_bodies_without_secrets_are_stored_byte_for_byte(value: Any, ascii_only: bool) -> None:
    encoded = json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    assert redact_payload(encoded) == encoded


@given(st.binary(max_size=300))
def test_any_bytes_without_a_secret_are_stored_byte_for_byte(body: bytes) -> None:
    assert redact_payload(body) == body


def test_a_token_in_use_is_removed_anywhere() -> None:
    token = "EAAB" + "x" * 60
    with kept_secret(token):
        assert redact_payload(f'{{"q":"{token}"}}'.encode()) == b'{"q":"***"}'
    assert token.encode() in redact_payload(f'{{"q":"{token}"}}'.encode())


def test_no_row_holds_the_secret_of_a_delivery_and_a_replay_changes_nothing(
    database: Database,
) -> None:
    """Events, the inbox and quarantine alike."""
    register_page(database, PAGE, name="P", user_id=None, platform=None, token_encrypted="x")
    address = f"https://graph.facebook.com/v26.0/1/picture?access_token={TOKEN}&width=9"
    image = {"type": "image", "payload": {"url": address}}
    sent = text(1, "m1", f"look: {address}")
    sent["message"]["attachments"] = [image]
    nobody = {"message": {"mid": "m2", "attachments": [image]}}
    ids = inbox.receive(
        database, [body(sent, nobody).replace(b"/", b"\\/"), b"no: " + address.encode()]
    )
    dumps = []
    for _ in range(2):
        while drain_batch(database).deliveries:
            pass
        dump = query(
            database,
            "select metadata::text from contact_interaction_events"
            " union all select record::text || identity from quarantined_records"
            " union all select encode(body, 'escape') || coalesce(outcomes::text, '')"
            " from webhook_inbox union all select last_message from messenger_conversations",
        )
        dumps.append(sorted(dump))
        assert len(dump) == 6
        assert TOKEN not in str(dump)
        assert str(dump).count("access_token=***") == 9
        assert [*inbox.reopen(database, ids=ids)] == [ids]
    assert dumps[0] == dumps[1]


def test_what_a_sync_loads_has_no_secret_in_its_addresses() -> None:
    event = {"metadata": {"shares": [{"link": f"https://x.y/?access_token={TOKEN}"}]}}
    encoded = encode({"conversations": [event]}).obj
    assert encoded == (
        b'{"conversations":[{"metadata":{"shares":[{"link":"https://x.y/?access_token=***"}]}}]}'
    )
