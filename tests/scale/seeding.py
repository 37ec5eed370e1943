"""A database of a given size: see seed.sql."""

from pathlib import Path

import psycopg

from messenger_pipeline.db.pool import own_schema

SEARCH_PATH = f'"{own_schema("public")}", public, pg_temp'
_SEED = Path(__file__).with_name("seed.sql")


def seed(url: str, scale: float) -> None:
    """Fill an empty schema, then vacuum and analyze it. `scale` 1: 3 million events."""
    with psycopg.connect(url, options="-c synchronous_commit=off -c work_mem=64MB") as connection:
        connection.execute("select set_config('search_path', %s, false)", [SEARCH_PATH])
        connection.commit()
        psycopg.ClientCursor(connection).execute(_SEED.read_bytes(), sizes(scale))
        connection.commit()
        connection.autocommit = True
        connection.execute("vacuum analyze")


def sizes(scale: float) -> dict[str, int]:
    """The parameters of seed.sql. Of small pages there are always as many."""

    def scaled(number: int) -> int:
        return max(1, round(number * scale))

    return {
        "pages": 500,
        "few": 4 if scale < 1 else 20,
        "conversations": scaled(200_000),
        "messages": 14,
        "longest": scaled(100_000),
        "anonymous": scaled(5_000),
        "gaps": scaled(150_000),
        "sessions": scaled(300_000),
        "deliveries": scaled(300_000),
        "hours": scaled(720),
        "quarantined": scaled(100_000),
        "alerts": scaled(20_000),
    }
