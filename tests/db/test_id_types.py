"""SQL for tables whose ids are not uuids, and migrations beside adopted tables."""

from hypothesis import given
from hypothesis import strategies as st

from messenger_pipeline.db.adopted_migrations import part, part_migrations
from messenger_pipeline.db.id_types import IdTypes, with_id_types

BIGINT = IdTypes(
    conversation="bigint", event="bigint", page_user="uuid", conversation_user="text",
    next_conversation="nextval('c')", next_event="nextval('e')",
)  # fmt: skip
_words = st.text("abc ,:;'()\n", max_size=20)


def test_new_ids_come_from_the_digits_or_from_the_columns_default() -> None:
    text = "select :new_event_id(a || lpad(to_hex(f()), 8, '0')), x"
    assert with_id_types(text, IdTypes()) == "select (a || lpad(to_hex(f()), 8, '0'))::uuid, x"
    assert with_id_types(text, BIGINT) == "select (nextval('e'))::bigint, x"
    assert with_id_types(text, IdTypes(event="text")).endswith("'0'))::uuid::text, x")


def test_a_name_is_no_event_where_their_ids_can_be_the_same() -> None:
    text = ":name_id(c.id) :name_ids(v_names) v :event_id_type[]"
    assert with_id_types(text, IdTypes()) == "c.id v_names v uuid[]"
    assert with_id_types(text, BIGINT) == (
        "-1::bigint array_fill(-1::bigint, array[cardinality(v_names)]) v bigint[]"
    )


def test_users_of_another_type_are_not_mixed_up() -> None:
    text = ":to_page_user(p_user) :to_conversation_user(p.user_id)"
    assert with_id_types(text, IdTypes()) == "p_user p.user_id"
    assert with_id_types(text, BIGINT) == "p_user::uuid p.user_id::text"
    assert with_id_types(text, IdTypes(conversation_user="bigint")).endswith(" null")


@given(st.lists(_words.map(lambda text: f"select $a${text}$a$;\n"), max_size=5))
def test_what_does_not_concern_adopted_tables_stays_as_it_is(statements: list[str]) -> None:
    text = "".join(statements)
    parted = part(text, "public")
    assert (parted.rest, parted.tables, parted.indexes) == (text, [], [])


def test_migrations_leave_adopted_tables_alone() -> None:
    """Each index and each change of a table is taken out, and each foreign key on one."""
    parted = part_migrations("public", BIGINT)
    assert {"idx_unique_event_by_message", "facebook_pages_graph"} <= {
        name for name, _ in parted.indexes
    }
    assert all(statement.startswith("alter table") for _, statement in parted.tables)
    assert sum("references" in statement for statement in parted.references) >= 3
    text = """-- why
create index if not exists of_c on "public".messenger_conversations (x);
create table "own".t (
    conversation_id bigint not null
        constraint t_fkey
        references "public".messenger_conversations (id) on delete cascade,
    y text
);
"""
    taken = part(text, "public")
    assert taken.indexes == [("of_c", 'index "public".messenger_conversations (x)')]
    assert taken.references == [
        'alter table "own".t add constraint t_fkey foreign key (conversation_id)'
        ' references "public".messenger_conversations (id) on delete cascade'
    ]
    assert "references" not in taken.rest
    assert "conversation_id bigint not null,\n    y text" in taken.rest
