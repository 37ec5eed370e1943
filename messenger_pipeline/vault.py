"""Encrypts page tokens for storage."""

import contextlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from messenger_pipeline.errors import ConfigurationError


def new_key() -> str:
    """A new key for MESSENGER_TOKEN_KEY."""
    return Fernet.generate_key().decode()


def key_in(home: Path) -> str:
    """The key that is stored next to the embedded database, readable by its owner only. The first
    call creates it. Raises ConfigurationError if it cannot be read."""
    path = home / "token.key"
    try:
        key = _read_or_create(path)
        Fernet(key)
    except OSError as error:
        raise ConfigurationError(
            f"The key of the page tokens, {path}, cannot be read: {error.strerror}. Make it"
            " readable, or set MESSENGER_TOKEN_KEY."
        ) from None
    except ValueError:
        raise ConfigurationError(
            f"The file {path} does not hold a key. Restore it, or delete it and add each page again"
            " with `messenger-pipeline pages add`."
        ) from None
    return key


def _read_or_create(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # The link is atomic: of two processes, the first one wins.
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(new_key())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_text(encoding="utf-8-sig").strip()


class TokenVault:
    """Encrypts with the first key and decrypts with any. To rotate keys, prepend a new one."""

    def __init__(self, keys: list[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def encrypt(self, token: str) -> str:
        return self._fernet.encrypt(token.encode()).decode()

    def decrypt(self, page_id: str, encrypted: str) -> str:
        """A page's token. Raises ConfigurationError if it was encrypted with another key."""
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise ConfigurationError(
                f"The token of page {page_id} was encrypted with another key. Add that key to"
                " MESSENGER_TOKEN_KEY, or add the token again with"
                f" `messenger-pipeline pages add {page_id}`."
            ) from None
