"""What the replaced application would have stored of a simulated world."""

from dataclasses import dataclass

import psycopg

from graph_simulator import World
from graph_simulator.truth import Row


@dataclass(frozen=True)
class OfWorld:
    """The newest messages of each thread, as its sync read them: 25, or `newest`. Of every
    `left_out`-th thread nothing: it stopped before them."""

    world: World
    newest: int = 25
    left_out: int = 7

    def __call__(self, connection: psycopg.Connection) -> None:
        pages = [one for one in self.world.pages.values() if not one.is_instagram]
        with connection.cursor() as cursor:
            with cursor.copy("copy source_pages (n, account_id, name, token) from stdin") as copy:
                for n, page in enumerate(pages, 1):
                    copy.write_row((n, page.id, page.name, page.token))
            contacts: dict[tuple[str, str], int] = {}
            messages: list[tuple[int, int, Row]] = []
            for n, page in enumerate(pages, 1):
                for row in self.world.truth(page, newest=self.newest):
                    key = (str(n), str(row["sender_id"]))
                    number = contacts.setdefault(key, len(contacts) + 1)
                    if number % self.left_out:
                        messages.append((len(messages) + 1, number, row))
            with cursor.copy(
                "copy source_contacts (n, page_n, sender_id, sender_name) from stdin"
            ) as copy:
                for (page_n, sender), number in contacts.items():
                    if number % self.left_out:
                        copy.write_row((number, int(page_n), sender, f"Contact {sender}"))
            with cursor.copy(
                "copy source_messages (n, contact_n, message_id, sent_at, is_sent, body) from stdin"
            ) as copy:
                for number, contact, row in messages:
                    copy.write_row(
                        (
                            number, contact, row["message_id"], row["created_time"],
                            row["event_type"] == "message_sent", row["text"],
                        )
                    )  # fmt: skip
