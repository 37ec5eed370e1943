"""Settings are validated at start; an invalid one is named with its remedy."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from messenger_pipeline import settings as settings_module
from messenger_pipeline.errors import ConfigurationError
from messenger_pipeline.postgres_url import LIBPQ
from messenger_pipeline.redaction import redact_known
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
        ("MESSENGER_DATABASE_SCHEMA", "s" * 51, "of at most 50"),
        ("MESSENGER_DATABASE_URL", "jdbc:postgresql://h/hunter2", "such as postgresql://"),
        ("MESSENGER_DATABASE_URL", "postgresql://u@h/d?hunter2=1&a=2", "one that PostgreSQL"),
        ("MESSENGER_DATABASE_URL", "postgresql://u@h/d?sslaccept=strict", "parameter sslaccept"),
        ("MESSENGER_DATABASE_URL", "postgresql://u@h/d?schema=shop", "MESSENGER_DATABASE_SCHEMA"),
        ("DAGSTER_PG_URL", "postgresql://u@h/d?nonsense", "parameter nonsense is not one"),
        ("MESSENGER_LISTEN_URL", "postgres://u@h/d?charset=utf8", "parameter charset is not"),
        ("MESSENGER_ALLOWED_ORIGINS", "*", "give exact origins such as https://"),
        ("MESSENGER_ALLOWED_ORIGINS", "https://a.example/", "without a path"),
        ("MESSENGER_ALLOWED_ORIGINS", "https://a.example, a.example", "exact origins"),
        ("MESSENGER_ALLOWED_ORIGINS", "https://*.a.example", "exact origins"),
        ("MESSENGER_ALLOWED_ORIGINS", "https://A.example", "in lower case"),
        ("MESSENGER_ALLOWED_ORIGINS", "null", "exact origins"),
        ("MESSENGER_ALLOWED_ORIGINS", "https://a.example:443", "leave out the port"),
        ("MESSENGER_ALLOWED_ORIGINS", "http://a.example:80", "leave out the port"),
        ("MESSENGER_SYNC_WAIT_SECONDS", "901", "give seconds from 0 to 900"),
        ("MESSENGER_SYNC_WAIT_SECONDS", "-1", "greater than or equal to 0"),
        ("MESSENGER_SYNC_WAITERS", "many", "give a number of requests"),
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
    assert "hunter2" not in str(caught.value).replace("parameter hunter2", "")
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


def test_origins_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "https://a.example, http://localhost:3000,http://[::1]:8044,https://b.example:80,"
    monkeypatch.setenv("MESSENGER_ALLOWED_ORIGINS", given)
    assert load_settings().allowed_origins == [
        "https://a.example", "http://localhost:3000", "http://[::1]:8044", "https://b.example:80"
    ]  # fmt: skip
    monkeypatch.delenv("MESSENGER_ALLOWED_ORIGINS")
    assert load_settings().allowed_origins == []


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql+psycopg2://u@h/d", "postgresql://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql://u@h/d"),
        ("postgresql+asyncpg://u:p@h/d?ssl=require", "postgresql://u:p@h/d?sslmode=require"),
        ("  postgres://u:p@h:5432/d\n", "postgresql://u:p@h:5432/d"),
        # Prisma with Supabase's pooler.
        (
            "postgresql://postgres.x:p@aws-0.pooler.supabase.com:6543/postgres?pgbouncer=true"
            "&connection_limit=5&schema=public&pool_timeout=20",
            "postgresql://postgres.x:p@aws-0.pooler.supabase.com:6543/postgres",
        ),
        ("postgres://u:p@h/d?sslmode=no-verify&supa=base-pooler.x",
         "postgresql://u:p@h/d?sslmode=require"),
        ("postgresql://u:p@h/d?sslmode=require&channel_binding=require&options=project%3Dx",
         "postgresql://u:p@h/d?sslmode=require&channel_binding=require&options=project%3Dx"),
        ("postgresql://u:p?q#r@h/d?pgbouncer=true", "postgresql://u:p?q#r@h/d"),
        ("postgresql:///d?host=/run/a%20b&user=u", "postgresql:///d?host=/run/a%20b&user=u"),
        ("postgresql://h1:5432,h2:5433/d?target_session_attrs=read-write",
         "postgresql://h1:5432,h2:5433/d?target_session_attrs=read-write"),
        ("postgresql://u@h/d?", "postgresql://u@h/d"),
        ("postgres://u@h/d?statement_timeout=5000&pool_size=3&max=4&prepare=false",
         "postgresql://u@h/d"),
        ("postgresql://u@h?connect_timeout=3", "postgresql://u@h?connect_timeout=3"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["DAGSTER_PG_URL", "MESSENGER_DATABASE_URL"])
def test_a_url_as_other_tools_write_it_becomes_one_of_libpqs(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str, used: str
) -> None:
    monkeypatch.setenv(name, given)
    settings = load_settings()
    url = settings.database_url if "DATABASE" in name else settings.dagster_pg_url
    assert url is not None
    assert url.get_secret_value() == used
    assert conninfo_to_dict(used), "libpq does not accept it"


def test_a_schema_in_the_url_may_be_the_schema_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MESSENGER_DATABASE_SCHEMA", "shop")
    monkeypatch.setenv("MESSENGER_DATABASE_URL", "postgresql://u@h/d?schema=shop")
    url = load_settings().database_url
    assert url is not None
    assert url.get_secret_value() == "postgresql://u@h/d"


def test_every_parameter_that_passes_is_one_of_libpqs() -> None:
    assert {one.keyword.decode() for one in Conninfo.get_defaults()} >= LIBPQ


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MESSENGER_DATABSE_URL", "Did you mean MESSENGER_DATABASE_URL?"),
        ("MESSENGER_DATABASE", "Did you mean MESSENGER_DATABASE_URL?"),
        ("MESSENGER_APP_SECRETS", "Did you mean MESSENGER_APP_SECRET?"),
        ("messenger_apikey", "Did you mean MESSENGER_API_KEY?"),
        # Symfony's.
        ("MESSENGER_TRANSPORT_DSN", "docs/settings.md lists the settings."),
    ],
)
@pytest.mark.parametrize("in_file", [False, True])
def test_a_misspelt_setting_is_named_once_with_the_closest_one(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    hint: str,
    in_file: bool,
) -> None:
    monkeypatch.setattr(settings_module, "_reported", set())
    if in_file:
        (tmp_path / ".env").write_text(f"{name}=hunter2\n")
    else:
        monkeypatch.setenv(name, "hunter2")
    load_settings()
    load_settings()
    assert [record.getMessage() for record in caplog.records] == [
        f"{name} is not a setting of messenger-pipeline, and has no effect. {hint}"
    ]


def test_settings_and_variables_of_tests_are_not_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("MESSENGER_TEST_DATABASE_URL", "messenger_home", "MESSENGER_CRASH_KILLS"):
        monkeypatch.setenv(name, "x")
    load_settings()
    assert caplog.records == []


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfMESSENGER_GRAPH_VERSION=v25.0\r\n")
    assert load_settings().graph_version == "v25.0"


@pytest.mark.parametrize("content", ["MESSENGER_HOME=é\n".encode("utf-16"), b"MESSENGER_HOME=\xe9"])
def test_a_file_in_another_encoding_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"The file \.env is not UTF-8: save it as UTF-8"):
        load_settings()


def test_a_wrong_secret_is_redacted_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESSENGER_DATABASE_URL", "mysql://u:hunter2hunter2@h/d")
    with pytest.raises(ConfigurationError):
        load_settings()
    assert "hunter2hunter2" not in redact_known("password hunter2hunter2")
