"""Where the project's own files are: sql/, dagster.yaml, workspace.yaml.

In a checkout they stand at the top; in a wheel they are `_project` inside the package.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
INSTALLED = (_PACKAGE / "_project").is_dir()
PROJECT = _PACKAGE / "_project" if INSTALLED else _PACKAGE.parent


def import_path() -> dict[str, str]:
    """The environment in which a child process, wherever it runs, imports this package.

    An installed package needs none: its interpreter finds it.
    """
    return {} if INSTALLED else {"PYTHONPATH": str(PROJECT)}
