"""gaps: what could not be read of a page's history, or of its list of threads."""

import click
from pydantic_core import to_json
from rich.table import Table

from messenger_pipeline.commands.console import counted, named_page, open_registry, out, shown
from messenger_pipeline.db.gaps import list_set_aside_gaps, retry_gaps
from messenger_pipeline.db.pages import get_page
from messenger_pipeline.errors import UsageError

_COLUMNS = (
    "id", "page_id", "thread_id", "newest_time", "until_time", "state", "attempts", "not_before",
    "last_error",
)  # fmt: skip


@click.group("gaps")
def gaps_group() -> None:
    """List and retry what could not be read of a page."""


@gaps_group.command("list")
@click.option("--page", "page_id", help="Only gaps of this page.")
@click.option("--all", "everything", is_flag=True, help="Also gaps that are read as usual.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def gaps_list(page_id: str | None, everything: bool, as_json: bool) -> None:
    """Show what was put off or is unreadable, with the error.

    A row with a thread is a stretch of that thread's history, from newest_time down to until_time.
    A row without is a part of the page's list of threads.
    """
    with open_registry() as database:
        found = list_set_aside_gaps(database, named_page(database, page_id), everything=everything)
        if page_id and not found:
            get_page(database, page_id)  # one that is not registered is misspelt
    if as_json:
        for gap in found:
            click.echo(to_json(gap))
        return
    table = Table(*_COLUMNS, box=None)
    for gap in found:
        table.add_row(*(shown(getattr(gap, column)) for column in _COLUMNS))
    out.print(table if table.row_count else "No gap is set aside.")


@gaps_group.command("retry")
@click.argument("ids", nargs=-1)
@click.option("--page", "page_id", help="Retry all gaps of this page.")
@click.option("--all", "everything", is_flag=True, help="Retry the gaps of all pages.")
def gaps_retry(ids: tuple[str, ...], page_id: str | None, everything: bool) -> None:
    """Try gaps again.

    The next sync of their pages reads them, and is due at once. Give ids, --page or --all.
    Unreadable gaps are tried, too.
    """
    if not (ids or page_id or everything):
        raise UsageError("Give the gaps' ids, --page or --all.")
    with open_registry() as database:
        count = retry_gaps(database, list(ids) or None, named_page(database, page_id))
        if page_id and not count:
            get_page(database, page_id)
    if count == 0 and ids:
        raise UsageError("None of these ids is a gap. `messenger-pipeline gaps list` shows them.")
    click.echo(f"{counted(count, 'gap')} will be read by the next sync.")
