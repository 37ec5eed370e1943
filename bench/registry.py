"""The pages in the registry, with tokens encrypted by a key that only benches use."""

from bench.replay import TOKEN
from messenger_pipeline.db.pages import register_page
from messenger_pipeline.db.pool import Database
from messenger_pipeline.vault import TokenVault

KEY = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtMDA="
"""Encrypts a token of no use."""


def open_vault() -> TokenVault:
    return TokenVault([KEY])


def register(database_url: str, page_ids: list[str]) -> None:
    """Put pages into the registry of a database."""
    vault = open_vault()
    with Database(database_url) as database:
        for page_id in page_ids:
            register_page(
                database,
                page_id,
                name="Acme Store",
                user_id="owner-1",
                platform="messenger",
                token_encrypted=vault.encrypt(TOKEN),
            )
