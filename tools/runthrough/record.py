"""What the run-through writes down: Markdown, with what commands answered and screenshots."""

import re
from pathlib import Path

_IMAGES = "images"


class Record:
    """A document in the making. What differs from one recording to the next is named, not shown:
    `names` maps such texts (ids, ports, folders) to what stands for them."""

    def __init__(self, folder: Path, names: dict[str, str]) -> None:
        self._folder = folder
        self.names = names
        self._parts: list[str] = []

    def say(self, text: str) -> None:
        """A paragraph or a heading."""
        self._parts.append(text)
        print(text.splitlines()[0], flush=True)  # noqa: T201 - whoever records it, watches

    def show(self, command: str, answer: str, language: str = "sh") -> None:
        """A command and what it answered."""
        self._parts.append(f"```{language}\n$ {self._named(command)}\n{self._named(answer)}\n```")

    def picture(self, name: str, what: str) -> Path:
        """The file for a screenshot that stands here."""
        path = self._folder / _IMAGES / f"runthrough-{name}.png"
        self._parts.append(f"![{what}]({_IMAGES}/{path.name})")
        return path

    def write(self, name: str) -> None:
        (self._folder / name).write_text("\n\n".join(self._parts) + "\n")

    def _named(self, text: str) -> str:
        for found, stands_for in self.names.items():
            text = text.replace(found, stands_for)
        return re.sub(r"[ \t]+$", "", text.strip("\n"), flags=re.MULTILINE)
