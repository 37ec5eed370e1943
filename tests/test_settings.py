"""Settings are validated at start; an invalid one is named with its remedy."""

from pathlib import Path

import pytest

from messenger_pipeline.errors import ConfigurationError
from messenger_pipeline.settings import load_settings
from messenger_pipeline.vault import new_key


def test_the_defaults_are_the_embedded_database_and_metas_api() -> None:
    settings = load_settings()
    assert settings.embedded
    assert settings.home == Path(".messenger")
    assert settings.graph_url == "https://graph.facebook.com"
    assert settings.calls_per_second == 2.0


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("MESSENGER_DATABASE_URL", "mysql://u:hunter2@h/d", "give a URL such as postgresql://"),
        ("MESSENGER_DATABASE_URL", "postgresql://u:hunter2@x@h/d", "percent-encode"),
        ("MESSENGER_DATABASE_URL", "postgresql://u:hunter2%x@h/d", "percent-encode"),
        ("MESSENGER_GRAPH_URL", "graph.facebook.com", "give a URL such as https://"),
        ("MESSENGER_GRAPH_VERSION", "26", "give a version such as v26.0"),
        ("MESSENGER_CALLS_PER_SECOND", "0", "greater than 0"),
        ("MESSENGER_CALLS_PER_SECOND", "fast", "valid number"),
        ("MESSENGER_TOKEN_KEY", "hunter2", "`messenger-pipeline key` creates one"),
        ("MESSENGER_DATABASE_SCHEMA", "a;b", "should match pattern"),
        ("DAGSTER_PG_URL", "sqlite:///hunter2", "give a URL such as postgresql://"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy_but_not_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=remedy) as caught:
        load_settings()
    assert f"The setting {name} is wrong" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_settings_are_read_from_env_files_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MESSENGER_GRAPH_URL=http://localhost:8001/\nOTHER=1\n")
    assert load_settings().graph_url == "http://localhost:8001"


def test_token_keys_and_app_secrets_are_comma_separated_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = [new_key(), new_key()]
    monkeypatch.setenv("MESSENGER_TOKEN_KEY", ", ".join(keys))
    monkeypatch.setenv("MESSENGER_APP_SECRET", "new,old")
    settings = load_settings()
    assert [key.get_secret_value() for key in settings.token_key] == keys
    assert [secret.get_secret_value() for secret in settings.app_secret] == ["new", "old"]
    assert "new" not in repr(settings.app_secret)


def test_a_drivers_name_in_a_url_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_PG_URL", "postgresql+psycopg2://u@h/d")
    url = load_settings().dagster_pg_url
    assert url is not None
    assert url.get_secret_value() == "postgresql://u@h/d"
