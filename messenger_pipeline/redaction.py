"""Keeps secrets out of text that people or machines will read."""

import logging
import re

_NAMED = re.compile(
    r"""(?ix) \b(access_token|appsecret_proof|input_token|client_secret)
    (["']?\s*[=:]\s*["']?) [^&\s"'<>]+"""
)
_BEARER = re.compile(r"(?i)\bbearer\s+[^\s\"']+")


def redact(text: str, *secrets: str) -> str:
    """`text` with the values of Meta's secret parameters, and `secrets` themselves, as ***."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _BEARER.sub("Bearer ***", _NAMED.sub(r"\1\2***", text))


class RedactingFilter(logging.Filter):
    """Redacts each record of a logger that may hold a request's address."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        return True
