"""What the documents name is there."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_and_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    for path, name in re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", text):
        assert (PROJECT / path).exists(), path
        if name:
            assert f"def {name}(" in (PROJECT / path).read_text(), name
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (document.parent / link).exists(), link


def test_each_flaw_of_the_replaced_application_is_answered() -> None:
    lines = (PROJECT / "docs" / "flaws.md").read_text().splitlines()
    numbers = [int(line.split("|")[1]) for line in lines if re.match(r"\| \d", line)]
    assert numbers == list(range(1, 24))
