"""Removes the values of secret parameters from addresses in payloads, and those of secret members
of objects, before they are stored.

An address is stored with `access_token=***` instead of the token, and a member as
`"access_token": "***"`. Nothing else of a payload changes: a body without such an address or member
is stored byte for byte. Addresses come in many spellings:
with JSON escapes (`\\u0026access_token\\u003d`), percent-encoded, in JSON inside of text, and in
capital letters.

Source: Graph API, Paging: `next` and `previous` contain the access token.
"""

import re

from messenger_pipeline.redaction import SECRET_NAMES, list_known_tokens

_NAMES = tuple(sorted(name.encode() for name in SECRET_NAMES))
_RARE = (b"token", b"secret")
"""Each name contains one of these words, which most payloads do not."""
_CAPITAL = (b"TOKEN", b"SECRET", b"Token", b"Secret")
"""Searching for both cases at once is much slower."""
_BEGINNINGS = (
    *_NAMES,
    *(name.partition(b"_")[0] + escape for name in _NAMES for escape in (b"%", b"\\")),
)
_HIDDEN = b"***"


def _spelled(character: bytes) -> bytes:
    """A pattern of a character: as it is, as a JSON escape, or percent-encoded, also repeatedly.
    JSON inside of JSON escapes the escapes."""
    code = b"".join(b"[%s%s]" % (one.upper(), one) for one in _hexadecimal(character))
    return rb"(?:%s|\\+u00%s|(?:%%|\\+u0025)(?:25)*%s)" % (re.escape(character), code, code)


def _hexadecimal(character: bytes) -> list[bytes]:
    return [one.encode() for one in character.hex()]


def _any_of(characters: bytes) -> bytes:
    return b"|".join(_spelled(bytes([one])) for one in characters)


_BEFORE = re.compile(
    rb"(?:%s)[\w.-]{0,30}(?:%s)?\Z" % (_any_of(b"?&#;/"), _spelled(b"[")), re.ASCII
)
_NAME = rb"(?:%s)" % b"|".join(name.replace(b"_", _spelled(b"_")) for name in _NAMES)
# A full stop at the end is the sentence's, not the value's.
_QUOTED = rb"(?:(?:%|\\+u0025)(?:25)*2[027])*"  # a blank or quotation mark before the value
_VALUE = rb"(?:(?!%s)(?:[\w|%%+/=:~*-]|\.(?=\w)|\\/|\\u00[2-7][0-9a-fA-F]))+" % _any_of(
    b"&#\"'<> \n\r,()[]{}"
)
_PARAMETER = re.compile(
    rb"(%s(?:%s)?%s)%s%s" % (_NAME, _spelled(b"]"), _spelled(b"="), _QUOTED, _VALUE),
    re.ASCII | re.IGNORECASE,
)
_TEXT = rb"(?:[^\"\\]|\\.)+"
_ESCAPED_TEXT = rb"(?:[^\"\\]|\\+[^\"\\])+"  # of JSON inside of JSON
_MEMBER = re.compile(
    rb'(%s)(?:("\s*:\s*")%s(?=")|((\\+")\s*:\s*\4)%s(?=\4))' % (_NAME, _TEXT, _ESCAPED_TEXT),
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_MEMBER_BEGINS = re.compile(rb'(\\*")[\w.-]{0,30}\Z', re.ASCII)
_BREAK = re.compile(rb"[\s\"'<>]")
_LONGEST_ADDRESS = 4096  # bytes before the parameter
_LONGEST_MARK = 64  # bytes of a question mark or the like, with the beginning of the name


def redact_payload(body: bytes) -> bytes:
    """`body` without the values of secret parameters in addresses and of secret members of objects,
    and without the tokens that this process is using now. The same object if it has none."""
    # Searching a megabyte for a word takes microseconds; the pattern takes much longer.
    is_likely = _has_any(_RARE, body) and _has_any(_BEGINNINGS, body)
    if is_likely or _has_any(_CAPITAL, body):
        body = _PARAMETER.sub(_without_value, body)
        body = _MEMBER.sub(_without_member, body)
    for token in list_known_tokens():
        if token in body:
            body = body.replace(token, _HIDDEN)
    return body


def _has_any(words: tuple[bytes, ...], body: bytes) -> bool:
    return any(word in body for word in words)


def _without_value(found: re.Match[bytes]) -> bytes:
    """The parameter, without its value if it is an address's. In a text `what?access_token=x` is
    none: the word in front of the question mark has neither a full stop nor a slash."""
    before = found.string[max(0, found.start() - _LONGEST_ADDRESS) : found.start()]
    mark = _BEFORE.search(before[-_LONGEST_MARK:])
    if not mark:
        return found[0]
    *breaks, word = _BREAK.split(before[: len(before) - len(mark[0])])
    is_address = b"." in word or b"/" in word or b"%2f" in word.lower()
    if not breaks and len(before) == _LONGEST_ADDRESS:
        is_address = True  # no other word is that long
    return found[1] + _HIDDEN if is_address else found[0]


def _without_member(found: re.Match[bytes]) -> bytes:
    """The member of an object, without its value. Its name has to begin with the same quotation
    mark as its value does."""
    before = found.string[max(0, found.start() - _LONGEST_MARK) : found.start()]
    begins = _MEMBER_BEGINS.search(before)
    if not begins or begins[1] != (found[4] or b'"'):
        return found[0]
    return found[1] + (found[2] or found[3]) + _HIDDEN
