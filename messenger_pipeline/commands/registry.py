"""pages: the registry; status: what is stored of each page."""

from typing import TextIO

import click
from rich.table import Table

from messenger_pipeline import runtime
from messenger_pipeline.commands.console import open_registry, out, shown
from messenger_pipeline.db import pages
from messenger_pipeline.errors import UsageError
from messenger_pipeline.settings import load_settings


@click.group("pages")
def pages_group() -> None:
    """The registry of pages."""


@pages_group.command("add")
@click.argument("page_id")
@click.option("--name", help="Instead of the name that Facebook gives.")
@click.option("--user-id", help="The page's owner in your application.")
@click.option(
    "--platform",
    type=click.Choice(["messenger", "instagram"]),
    default="messenger",
    show_default=True,
)
@click.option(
    "--token-file", type=click.File(), default="-", help="Where the token is; else standard input."
)
def pages_add(
    page_id: str, name: str | None, user_id: str | None, platform: str, token_file: TextIO
) -> None:
    """Register a page, or give it a new token, which makes it active again.

    The token is checked against the API and stored encrypted.
    """
    if not page_id.isdigit():
        raise UsageError(f"{page_id} is no page id: Facebook's are digits only.")
    if token_file.isatty():
        click.echo(f"Page access token of {page_id}, ended by Enter: ", nl=False, err=True)
    token = token_file.readline().strip()
    if not token:
        raise UsageError("No token given. Pipe it in, or name its file with --token-file.")
    settings = load_settings()
    with open_registry() as database:
        vault = runtime.token_vault(settings)
        with runtime.graph_api(settings).client(token) as client:
            profile = client.fetch_page(page_id).content
            client.fetch_conversations(page_id, platform, limit=1, messages=0)
        page = pages.register_page(
            database,
            page_id,
            name=name or profile.get("name"),
            user_id=user_id,
            platform=platform,
            token_encrypted=vault.encrypt(token),
        )
    click.echo(f"Page {page_id} ({page.name}) is registered; its token works.")


@pages_group.command("list")
def pages_list() -> None:
    """Show the pages."""
    with open_registry() as database:
        found = pages.list_pages(database)
    table = Table(box=None)
    for name in ("page", "name", "platform", "status", "last synced", "next sync"):
        table.add_column(name, no_wrap=name in ("page", "platform"))
    for page in found:
        status = f"{page.status}: {page.status_reason}" if page.status_reason else page.status
        table.add_row(
            page.facebook_page_id, page.name, page.platform, status,
            shown(page.last_synced_at), shown(page.next_sync_at),
        )  # fmt: skip
    out.print(table if found else "No page is registered. `messenger-pipeline pages add` adds one.")


@pages_group.command("remove")
@click.argument("page_id")
def pages_remove(page_id: str) -> None:
    """Stop syncing a page and forget its token. Its conversations stay."""
    with open_registry() as database:
        pages.set_page_status(database, page_id, "removed")
    click.echo(f"Page {page_id} is removed from the registry; its conversations are kept.")


@click.command()
def status() -> None:
    """Show the syncs that are open, and every page with what is stored of it."""
    with open_registry() as database, database.transaction() as connection:
        for view in ("active_syncs", "sync_statistics"):
            cursor = connection.execute(f"select * from {view} order by page_id")  # noqa: S608
            names = [column.name for column in cursor.description or ()]
            rows = cursor.fetchall()
            out.print(f"[bold]{view}[/bold]: {len(rows)}")
            for row in rows:
                told = {n: v for n, v in zip(names, row, strict=True) if v is not None}
                out.print(
                    "  " + ", ".join(f"{n} {shown(v)}" for n, v in told.items()), soft_wrap=True
                )
