"""Makes the texts of two catalogs comparable: names of schemas, and the server's version."""

import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_TOKENS = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\d+(?:\.\d+)?|(?:[^\W\d]\w*|\S)", re.DOTALL
)
_NAME = re.compile(r'[^\W\d]\w*|".*"', re.DOTALL)


class Renaming:
    """Replaces names of schemas in SQL texts, as { from: to }."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {old: new for old, new in names.items() if old != new}
        every = "|".join(re.escape(one) for one in self._names)
        self._pattern = re.compile(
            rf'(?<![\w"$.])(?P<plain>{every})(?=\s*\.)|"(?P<quoted>{every})"(?=\s*\.)'
            rf"|(?<=')(?P<literal>{every})(?='::regnamespace)"
            rf"""|(?:(?<='")|(?<=a "))(?P<inner>{every})(?=")"""  # '"x"'::regnamespace, schema "x"
        )
        words = "|".join(map(re.escape, {*self._names, *self._names.values()}))
        self._words = re.compile(rf'(?P<quote>"?)\b(?P<name>{words})\b(?P=quote)')

    def name(self, schema: str) -> str:
        return self._names.get(schema, schema)

    def text(self, text: str) -> str:
        """A text in which the names are replaced where they are schemas: before a period, and
        where a regnamespace or a `schema` follows from the text."""
        if not self._names:
            return text
        return self._pattern.sub(self._replaced, text)

    def value(self, value: Any) -> Any:
        """A fact, with all the texts in it."""
        return _mapped(value, self.text)

    def setting(self, setting: str) -> str:
        """A function's `name=value`, in which search_path lists schemas: with quotes or without,
        as the statement had them."""
        if not setting.startswith("search_path="):
            return self.text(setting)
        return self._every(re.sub(r'"([a-z_][a-z0-9_]*)"', r"\1", setting))

    def definition(self, definition: str) -> str:
        """The statement that creates a function, with its own setting of search_path."""
        head, mark, body = self.text(definition).partition("\nAS ")
        lines = [
            self._every(line) if line.startswith(" SET search_path TO ") else line
            for line in head.split("\n")
        ]
        return "\n".join(lines) + mark + body

    def canonical(self, value: Any) -> Any:
        """A fact with each word replaced that is one of the names, wherever it stands: what says
        the same of two schemas is equal then, and so is what says the same word."""
        return _mapped(value, self._every) if self._names else value

    def _every(self, text: str) -> str:
        if not self._names:
            return text
        return self._words.sub(lambda found: self.name(found["name"]), text)

    def _replaced(self, found: re.Match[str]) -> str:
        plain = found["plain"]
        if plain is None:
            new = self.name(found["quoted"] or found["literal"] or found["inner"])
            return f'"{new}"' if found["quoted"] else new
        new = self.name(plain)
        return new if _PLAIN.fullmatch(new) else f'"{new}"'


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(one, change) for one in value]
    return value


def loosened(text: str) -> str:
    """What two versions of PostgreSQL write alike of one expression or query: its words, without
    white space, parentheses, and the tables before columns."""
    tokens = [one for one in _TOKENS.findall(text) if one not in "()"]
    kept: list[str] = []
    for token in tokens:
        if kept[-1:] == ["."] and len(kept) > 1 and _NAME.fullmatch(kept[-2]):
            del kept[-2:]
        kept.append(token)
    return " ".join(kept)
