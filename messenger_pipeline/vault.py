"""Page tokens encrypted at rest."""

import contextlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from messenger_pipeline.errors import ConfigurationError


def new_key() -> str:
    """A key for MESSENGER_TOKEN_KEY."""
    return Fernet.generate_key().decode()


def key_in(home: Path) -> str:
    """The key kept beside the embedded database, made at the first call, for its owner only."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "token.key"
    if not path.exists():
        # Whole or not at all, and the first of two processes wins.
        fresh = home / f"token.key.{os.getpid()}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(new_key())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_text().strip()


class TokenVault:
    """Encrypts with the first key, decrypts with any: keys rotate by being put in front."""

    def __init__(self, keys: list[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def encrypt(self, token: str) -> str:
        return self._fernet.encrypt(token.encode()).decode()

    def decrypt(self, page_id: str, encrypted: str) -> str:
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise ConfigurationError(
                f"The token of page {page_id} was encrypted with another key. Put that key into"
                " MESSENGER_TOKEN_KEY, or give the page its token again with"
                f" `messenger-pipeline pages add {page_id}`."
            ) from None
