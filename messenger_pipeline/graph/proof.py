"""appsecret_proof: proves to Meta that a call comes from the app that the token belongs to."""

import hashlib
import hmac


def app_secret_proof(app_secret: str, token: str, now: float) -> dict[str, str]:
    """The query parameters that prove a call made at `now`, a Unix time; valid for five minutes.

    Source: Graph API, "Secure Graph API Calls".
    """
    seconds = str(int(now))
    signed = f"{token}|{seconds}".encode()
    proof = hmac.new(app_secret.encode(), signed, hashlib.sha256).hexdigest()
    return {"appsecret_proof": proof, "appsecret_time": seconds}
