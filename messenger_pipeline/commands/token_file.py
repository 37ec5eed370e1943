"""Reads a token from a file or standard input, as editors and shells of any system write it."""

import codecs
import re
from typing import BinaryIO

from messenger_pipeline.errors import UsageError

_LIMIT = 65_536  # bytes: no token is as long
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MISSING = "No token given. Pipe it in, or give its file with --token-file."
_WRONG = (
    "This is not a token: it must be one line of ASCII letters and digits. Copy it again, and save"
    " the file as plain text."
)


def read_token(file: BinaryIO) -> str:
    """Return the first line that is not blank, without white space around it.

    Reads UTF-8, with or without a byte order mark, and UTF-16 with one. A terminal or pipe is read
    no further than that line. Raises UsageError, which does not repeat the text.
    """
    try:
        text = _read_line(file)
    except OSError as error:
        raise UsageError(f"The token cannot be read: {error.strerror}.") from None
    except UnicodeError:
        raise UsageError(_WRONG) from None
    if not text:
        raise UsageError(_MISSING)
    if not re.fullmatch(r"[!-~]+", text):
        raise UsageError(_WRONG)
    return text


def _read_line(file: BinaryIO) -> str:
    left = _LIMIT
    encoding = "utf-8"
    while left > 0 and (line := file.readline(left)):
        left -= len(line)
        if left + len(line) == _LIMIT:
            encoding = next((name for mark, name in _ENCODINGS if line.startswith(mark)), encoding)
            if encoding == "utf-16":  # whose lines do not end at the byte of a line feed
                line += file.read(left)
        found = [one.strip() for one in line.decode(encoding).splitlines() if one.strip()]
        if found:
            return found[0]
        if file.isatty():
            break
    return ""
