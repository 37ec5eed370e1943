"""Encryption of stored tokens."""

from pathlib import Path

import pytest

from messenger_pipeline.errors import ConfigurationError
from messenger_pipeline.vault import TokenVault, key_in, new_key


def test_a_token_is_decrypted_with_its_own_key_only() -> None:
    vault = TokenVault([new_key()])
    encrypted = vault.encrypt("EAAtoken")
    assert "EAAtoken" not in encrypted
    assert vault.decrypt("10", encrypted) == "EAAtoken"
    with pytest.raises(ConfigurationError, match=r"token of page 10.*MESSENGER_TOKEN_KEY"):
        TokenVault([new_key()]).decrypt("10", encrypted)


def test_a_token_is_decrypted_with_its_old_key_after_a_rotation() -> None:
    old, new = new_key(), new_key()
    encrypted = TokenVault([old]).encrypt("EAAtoken")
    assert TokenVault([new, old]).decrypt("10", encrypted) == "EAAtoken"
    rewritten = TokenVault([new, old]).encrypt("EAAtoken")
    assert TokenVault([new]).decrypt("10", rewritten) == "EAAtoken"


def test_the_key_of_the_embedded_database_is_created_once_and_readable_by_its_owner_only(
    tmp_path: Path,
) -> None:
    key = key_in(tmp_path / "home")
    assert key_in(tmp_path / "home") == key
    assert (tmp_path / "home" / "token.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["token.key"]
