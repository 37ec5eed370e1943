"""Makes the URL of a PostgreSQL database, as other tools write it, one that libpq accepts.

Hosting providers and ORMs add parameters of their own to it, on which libpq fails.
"""

import re
from urllib.parse import quote, unquote

_SCHEME = re.compile(r"postgres(ql)?(\+\w+)?://")

LIBPQ = frozenset(
    {
        "application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname",
        "fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "host", "hostaddr",
        "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname",
        "load_balance_hosts", "max_protocol_version", "min_protocol_version", "options",
        "passfile", "password", "port", "replication", "require_auth", "requirepeer", "service",
        "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcertmode",
        "sslcompression", "sslcrl", "sslcrldir", "sslkey", "sslmode", "sslnegotiation",
        "sslpassword", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout", "user",
    }
)  # fmt: skip
"""Parameters of libpq 18, without those of OAuth and SCRAM keys."""

_WITHOUT_EFFECT = frozenset(
    {
        # Prisma
        "connection_limit", "max_connection_lifetime", "max_idle_connection_lifetime", "pgbouncer",
        "pool_timeout", "socket_timeout", "statement_cache_size",
        # Supabase, node-postgres
        "supa", "uselibpqcompat", "workaround",
        # SQLAlchemy, Rails, Django
        "conn_max_age", "encoding", "max_overflow", "pool", "pool_pre_ping", "pool_recycle",
        "pool_size", "prepared_statement_cache_size", "prepared_statements",
        # JDBC, pgx, postgres.js
        "default_query_exec_mode", "idle_timeout", "max", "max_lifetime", "pool_max_conn_idle_time",
        "pool_max_conn_lifetime", "pool_max_conns", "pool_min_conns", "prepare", "preparethreshold",
        "statement_cache_capacity",
        # node-postgres: each of our calls has a limit of its own where it needs one
        "idle_in_transaction_session_timeout", "lock_timeout", "query_timeout", "statement_timeout",
    }
)  # fmt: skip
"""Parameters of other drivers about pools, prepared statements and time-outs. We have a pool of our
own, and prepare no statement."""

_SCHEMAS = frozenset({"schema", "currentschema", "search_path", "schema_search_path"})

_SSL = {
    "true": "require", "1": "require", "no-verify": "require", "": "require",
    "false": "disable", "0": "disable",
}  # fmt: skip
"""Values of `ssl` and `sslmode` in other drivers, as libpq's sslmode."""


def clean_postgres_url(url: str, data_schema: str) -> str:
    """Return `url` with the scheme and the parameters of libpq.

    Raises ValueError, whose text is the remedy and does not repeat a value of the URL.
    """
    url = url.strip()
    found = _SCHEME.match(url)
    if not found:
        raise ValueError("give a URL such as postgresql://user:password@host:5432/database")
    account, at, rest = _split_account(url[found.end() :])
    address, _, query = rest.partition("?")
    parameters = []
    for text in filter(None, query.split("&")):
        name, _, value = text.partition("=")
        parameters += _libpq_parameter(unquote(name), value, data_schema)
    return f"postgresql://{account}{at}{address}" + ("?" * bool(parameters)) + "&".join(parameters)


def _split_account(text: str) -> tuple[str, str, str]:
    """`user:password`, `@` and the rest; the first two are empty in a URL without an account."""
    authority = text.partition("/")[0]
    account, at, _ = authority.rpartition("@")
    if "@" in account or re.search(r"%(?![0-9A-Fa-f]{2})", account):
        raise ValueError("percent-encode its user and password: @ as %40, % as %25")
    return account, at, text[len(account) + len(at) :]


def _libpq_parameter(name: str, value: str, data_schema: str) -> list[str]:
    """A parameter as libpq's, as a list; empty if it has no effect here."""
    lower = name.lower()
    if lower in _WITHOUT_EFFECT:
        return []
    if lower in _SCHEMAS:
        if unquote(value) not in ("public", data_schema):
            raise ValueError(
                f"its parameter {name} names a schema; remove it, and set"
                " MESSENGER_DATABASE_SCHEMA if the tables should be in that schema"
            )
        return []
    if lower in ("ssl", "sslmode"):
        mode = unquote(value).lower()
        return [f"sslmode={quote(_SSL.get(mode, mode))}"]
    if name in LIBPQ:
        return [f"{name}={value}"]
    shown = f"its parameter {name}" if re.fullmatch(r"\w{1,40}", name) else "one of its parameters"
    raise ValueError(f"{shown} is not one that PostgreSQL's libpq knows; remove it")
