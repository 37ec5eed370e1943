"""Where the project's own files stand: sql/, dagster.yaml, workspace.yaml."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
