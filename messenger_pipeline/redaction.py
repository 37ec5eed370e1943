"""Keeps secrets out of text that people or machines will read."""

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
"""Meta's parameters whose value is nobody's to read."""

_NAMED = re.compile(
    rf"""(?ix) \b({"|".join(sorted(SECRET_NAMES))})
    (\\?["']?\s*[=:]\s*\\?["']?) [^&\s"'<>\\]+"""
)
_BEARER = re.compile(r"(?i)\bbearer\s+[^\s\"'\\]+")
_SHORTEST = 6
"""A known secret that is shorter would black out ordinary words, and tell itself by that."""

_known: Counter[str] = Counter()
_lock = threading.Lock()


def redact(text: str, *secrets: str) -> str:
    """`text` with the values of Meta's secret parameters, and `secrets` themselves, as ***."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _BEARER.sub("Bearer ***", _NAMED.sub(r"\1\2***", text))


def redact_known(text: str) -> str:
    """`text` without any secret that this process was told of."""
    with _lock:
        # The longer first: one may be a part of another.
        secrets = sorted(_known, key=len, reverse=True)
    return redact(text, *secrets)


def remember_secret(secret: str) -> None:
    """Keep a secret out of every log line from now on: a setting's value, a URL's password."""
    with _lock:
        for form in _forms(secret):
            _known[form] += 1


@contextmanager
def kept_secret(secret: str) -> Iterator[None]:
    """Keep a secret out of every log line while the body runs: a page's token."""
    remember_secret(secret)
    try:
        yield
    finally:
        with _lock:
            for form in _forms(secret):
                _known[form] -= 1
                if _known[form] <= 0:
                    del _known[form]


class RedactingFilter(logging.Filter):
    """Redacts each record of a logger that may hold a request's address."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact_known(record.getMessage()), None
        return True


def _forms(secret: str) -> set[str]:
    """How a secret may stand in a text. Of a URL: whole, its password, and what names nobody but
    its holder in its path (Slack's addresses are secrets by their path)."""
    forms = {secret, unquote(secret)}
    if re.match(r"[a-z][a-z0-9+]*://", secret):
        _scheme, _, rest = secret.partition("://")
        account = rest.partition("/")[0].rpartition("@")[0]
        password = account.partition(":")[2]
        forms |= {password, unquote(password)}
        if secret.startswith("http"):
            parts = urlsplit(secret)
            forms |= {parts.path, parts.query}
    return {form for form in forms if len(form) >= _SHORTEST}
