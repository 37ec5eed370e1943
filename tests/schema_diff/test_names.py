"""Texts of two catalogs: names of schemas, and how versions of the server write."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.schema_diff.model import literal, quoted
from messenger_pipeline.schema_diff.names import Renaming, loosened

TO_CRM = Renaming({"public": "crm", "messenger_pipeline": "crm_pipeline"})

PIECES = st.sampled_from(
    ["public", "crm", "messenger_pipeline", "crm_pipeline", '"public"', ".", "select ", "'", " ",
     "x", "::regnamespace", "$$", "schema "]
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "renamed"),
    [
        ("select * from public.chats", "select * from crm.chats"),
        ('select * from "public"."chats"', 'select * from "crm"."chats"'),
        ("nextval('public.chats_seq'::regclass)", "nextval('crm.chats_seq'::regclass)"),
        ("'public'::regnamespace", "'crm'::regnamespace"),
        ("""'"public"'::regnamespace""", """'"crm"'::regnamespace"""),
        ('grant usage on schema "public" to x', 'grant usage on schema "crm" to x'),
        ("grant select on t to public", "grant select on t to public"),
        ("""'[{"grantee": "public"}]'""", """'[{"grantee": "public"}]'"""),
        ("other.public.x, republic.x, public_x.y", "other.public.x, republic.x, public_x.y"),
    ],
)
def test_a_schema_is_renamed_where_it_is_one(text: str, renamed: str) -> None:
    assert TO_CRM.text(text) == renamed


@pytest.mark.parametrize(
    "setting", ['search_path="public", pg_temp', "search_path=public, pg_temp"]
)
def test_a_search_path_is_renamed_whatever_its_quotes(setting: str) -> None:
    assert TO_CRM.setting(setting) == "search_path=crm, pg_temp"


def test_a_functions_definition_is_renamed_with_its_search_path_but_not_its_strings() -> None:
    definition = (
        "CREATE OR REPLACE FUNCTION public.f()\n RETURNS text\n SET search_path TO 'public', 'x'\n"
        "AS $function$ select 'public' from public.t $function$\n"
    )
    assert TO_CRM.definition(definition) == (
        "CREATE OR REPLACE FUNCTION crm.f()\n RETURNS text\n SET search_path TO 'crm', 'x'\n"
        "AS $function$ select 'public' from crm.t $function$\n"
    )


@given(st.lists(PIECES).map("".join))
def test_a_renamed_text_is_the_same_text(text: str) -> None:
    """What the other database has is equal to it under our names, and equal to itself."""
    assert TO_CRM.canonical(TO_CRM.text(text)) == TO_CRM.canonical(text)
    assert Renaming({"public": "public"}).text(text) == text


@given(st.text())
def test_a_quoted_name_and_a_literal_say_what_they_quote(text: str) -> None:
    assert quoted(text)[1:-1].replace('""', '"') == text
    found = re.fullmatch(r" ?E?'(.*)'", literal(text), re.DOTALL)
    assert found
    inner = found[1].replace("''", "'")
    assert (inner.replace("\\\\", "\\") if "\\" in text else inner) == text


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (" SELECT chats.id,\n    chats.title\n   FROM public.chats;",
         " SELECT id,\n    title\n   FROM public.chats;"),
        ("((a > 0) AND (b = 'x.y ( z'::text))", "(a > 0 AND b = 'x.y ( z'::text)"),
    ],
)  # fmt: skip
def test_what_two_versions_write_of_one_query_is_equal(older: str, newer: str) -> None:
    assert loosened(older) == loosened(newer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a > 0", "a >= 0"),
        ("'a b'", "'ab'"),
        ("x.a", "x.b"),
        ("'x.a'", "'a'"),
        ("a || b", "b || a"),
    ],
)
def test_other_expressions_stay_different(one: str, other: str) -> None:
    assert loosened(one) != loosened(other)
