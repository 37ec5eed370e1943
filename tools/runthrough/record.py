"""The document that the run-through writes: Markdown with commands, their output, screenshots."""

import re
from pathlib import Path

_IMAGES = "images"


class Record:
    """A document that is being written. `names` maps texts that differ between recordings (ids,
    ports, folders) to the names that replace them."""

    def __init__(self, folder: Path, names: dict[str, str]) -> None:
        self._folder = folder
        self.names = names
        self._parts: list[str] = []

    def add(self, text: str) -> None:
        """A paragraph or a heading."""
        self._parts.append(text)
        print(text.splitlines()[0], flush=True)  # noqa: T201 - shows how far the recording is

    def show(self, command: str, output: str, language: str = "sh") -> None:
        """A command and its output."""
        self._parts.append(f"```{language}\n$ {self._named(command)}\n{self._named(output)}\n```")

    def picture(self, name: str, caption: str) -> Path:
        """The file for a screenshot at this place."""
        path = self._folder / _IMAGES / f"runthrough-{name}.png"
        self._parts.append(f"![{caption}]({_IMAGES}/{path.name})")
        return path

    def write(self, name: str) -> None:
        (self._folder / name).write_text("\n\n".join(self._parts) + "\n")

    def _named(self, text: str) -> str:
        for found, stands_for in self.names.items():
            text = text.replace(found, stands_for)
        return re.sub(r"[ \t]+$", "", text.strip("\n"), flags=re.MULTILINE)
