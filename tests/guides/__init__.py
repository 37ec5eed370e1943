"""The SQL of the replaced application's guides, as it stands there."""

import re
from pathlib import Path

_BLOCK = re.compile(
    r"^## (?P<heading>[^\n]+)\n\n```sql\n(?P<sql>.*?)^```$", re.MULTILINE | re.DOTALL
)


def statements(guide: str, heading: str) -> list[str]:
    """The statements under a heading of a guide, such as "migration_guide"."""
    text = (Path(__file__).parent / f"{guide}.md").read_text()
    [sql] = [found["sql"] for found in _BLOCK.finditer(text) if found["heading"] == heading]
    bare = re.sub(r"--.*", "", sql)
    return [one.strip() for one in bare.split(";") if one.strip()]


def headings(guide: str) -> list[str]:
    text = (Path(__file__).parent / f"{guide}.md").read_text()
    return [found["heading"] for found in _BLOCK.finditer(text)]
