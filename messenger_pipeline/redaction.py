"""Removes secrets from logs and messages."""

import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

SECRET_NAMES = frozenset(
    {"access_token", "appsecret_proof", "input_token", "client_secret", "verify_token"}
)
"""Meta's parameters whose values are secret."""

_NAMED = re.compile(
    rf"""(?ix) \b({"|".join(sorted(SECRET_NAMES))})
    (\\?["']?\s*[=:]\s*\\?["']?) [^&\s"'<>\\]+"""
)
_BEARER = re.compile(r"(?i)\bbearer\s+[^\s\"'\\]+")
_MIN_LENGTH = 6
"""Shorter secrets are not redacted: that would hide ordinary words, and so reveal the secret."""
_MIN_TOKEN_LENGTH = 20
"""Meta's tokens have 100 characters and more; a test's "token" may be a word of a message."""

_known: Counter[str] = Counter()
_tokens: Counter[str] = Counter()
_lock = threading.Lock()


def redact(text: str, *secrets: str) -> str:
    """`text` with the values of Meta's secret parameters, and `secrets` themselves, as ***."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _BEARER.sub("Bearer ***", _NAMED.sub(r"\1\2***", text))


def redact_known(text: str) -> str:
    """`text` without the secrets that this process has registered."""
    with _lock:
        # Longest first: one secret may contain another.
        secrets = sorted(_known, key=len, reverse=True)
    return redact(text, *secrets)


def remember_secret(secret: str) -> None:
    """Redact a secret from now on, such as a setting or a URL with a password."""
    with _lock:
        for form in _forms(secret):
            _known[form] += 1


@contextmanager
def kept_secret(secret: str) -> Iterator[None]:
    """Redact a page's token for the duration of the context."""
    remember_secret(secret)
    with _lock:
        _tokens[secret] += 1
    try:
        yield
    finally:
        with _lock:
            for form in _forms(secret):
                _forget(_known, form)
            _forget(_tokens, secret)


def list_known_tokens() -> list[bytes]:
    """The tokens that are in use, the longest first. Short ones are left out: see _MIN_LENGTH."""
    with _lock:
        tokens = sorted(_tokens, key=len, reverse=True)
    return [token.encode() for token in tokens if len(token) >= _MIN_TOKEN_LENGTH]


def _forget(secrets: Counter[str], secret: str) -> None:
    secrets[secret] -= 1
    if secrets[secret] <= 0:
        del secrets[secret]


class RedactingFilter(logging.Filter):
    """Redacts each record of a logger, such as urllib3's, which logs URLs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact_known(record.getMessage()), None
        return True


def _forms(secret: str) -> set[str]:
    """The forms in which a secret can occur. Those of a URL are itself, its password, its path and
    its query (the path of a webhook of Slack is a secret)."""
    forms = {secret, unquote(secret)}
    if re.match(r"[a-z][a-z0-9+]*://", secret):
        _scheme, _, rest = secret.partition("://")
        account = rest.partition("/")[0].rpartition("@")[0]
        password = account.partition(":")[2]
        forms |= {password, unquote(password)}
        if secret.startswith("http"):
            parts = urlsplit(secret)
            forms |= {parts.path, parts.query}
    return {form for form in forms if len(form) >= _MIN_LENGTH}
