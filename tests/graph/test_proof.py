"""appsecret_proof."""

import hashlib
import hmac

from messenger_pipeline.graph.proof import app_secret_proof


def test_the_proof_signs_the_token_and_the_whole_second_with_the_app_secret() -> None:
    expected = hmac.new(b"secret", b"TOKEN|1700000000", hashlib.sha256).hexdigest()
    assert app_secret_proof("secret", "TOKEN", 1_700_000_000.9) == {
        "appsecret_proof": expected,
        "appsecret_time": "1700000000",
    }
