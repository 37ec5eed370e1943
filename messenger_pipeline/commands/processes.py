"""simulate, dev, demo: processes for one machine; key: a key for the tokens."""

from typing import Literal

import click

from messenger_pipeline.commands.console import out
from messenger_pipeline.vault import new_key


def _list_faults(context: click.Context, _: click.Parameter, requested: bool) -> None:
    if not requested:
        return
    from graph_simulator import FAULT_TYPES

    for name, fault in sorted(FAULT_TYPES.items()):
        defaults = {key: field.default for key, field in fault.parameters.model_fields.items()}
        parameters = (f"{key}={default}" for key, default in defaults.items())
        click.echo(",".join([name, *parameters]).replace("=None", ""))
        times = "always" if fault.default_times is None else "once"
        click.echo(f"    {fault.description} ({times})")
    context.exit()


def _parse_fault(text: str) -> dict[str, str]:
    """`code_2,times=3` as {"name": "code_2", "times": "3"}."""
    name, *parameters = text.split(",")
    return {"name": name, **dict(one.partition("=")[::2] for one in parameters)}


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8001, show_default=True,
    help="Listen on this port.",
)  # fmt: skip
@click.option(
    "--seed", default=1, show_default=True, help="Pages, names and messages follow from it."
)
@click.option(
    "--pages", "page_count", type=click.IntRange(min=1), default=3, show_default=True,
    help="How many pages to simulate.",
)  # fmt: skip
@click.option(
    "--conversations", type=click.IntRange(min=1), default=300, show_default=True,
    help="Conversations of the first page; the others have fewer.",
)  # fmt: skip
@click.option(
    "--instagram", type=click.IntRange(min=0), default=0, show_default=True,
    help="How many of the pages have an Instagram account, too.",
)  # fmt: skip
@click.option(
    "--latency-ms",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Wait this many milliseconds before each answer.",
)
@click.option(
    "--app-secret",
    help="Require appsecret_proof with this app secret, and sign webhooks with it.",
)
@click.option(
    "--cursors", type=click.Choice(["position", "offset"]), default="position", show_default=True,
    help="With offset, a list that changes while it is read repeats or omits conversations.",
)  # fmt: skip
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME[,PARAMETER=VALUE]…",
    help="Inject a fault, such as code_2,times=3. Each takes page, edge (conversations, messages,"
    " thread, page, profile), after (calls that succeed first) and times. Repeatable.",
)  # fmt: skip
@click.option(
    "--webhook-url", metavar="URL", help="Deliver webhooks to this address. Needs --app-secret."
)
@click.option(
    "--live", type=click.FloatRange(min=0), default=0, metavar="PER_SECOND", show_default=True,
    help="Create this many messages and other events a second. Needs --webhook-url.",
)  # fmt: skip
@click.option(
    "--list-faults", is_flag=True, is_eager=True, expose_value=False, callback=_list_faults,
    help="Print every fault with its parameters, and exit.",
)  # fmt: skip
def simulate(
    port: int,
    seed: int,
    page_count: int,
    conversations: int,
    instagram: int,
    latency_ms: int,
    app_secret: str | None,
    cursors: Literal["position", "offset"],
    faults: tuple[str, ...],
    webhook_url: str | None,
    live: float,
) -> None:
    """Serve a simulated Graph API until Ctrl-C.

    It prints the settings and commands that register its pages.
    """
    import uvicorn

    from graph_simulator import APP_ID, InvalidFault, InvalidLiveSettings, World, create_app
    from messenger_pipeline.local.stack import require_free_port

    if live and not webhook_url:
        raise click.UsageError("--live needs --webhook-url: its events are delivered there.")
    if webhook_url and not app_secret:
        raise click.UsageError(
            "--webhook-url needs --app-secret, which signs the deliveries. Give the receiver's"
            " MESSENGER_APP_SECRET."
        )
    require_free_port(port, "--port")
    world = World(seed, page_count, conversations, cursors, instagram)
    try:
        app = create_app(
            world,
            latency=latency_ms / 1000,
            app_secret=app_secret,
            faults=[_parse_fault(fault) for fault in faults],
            webhook_url=webhook_url,
            live_per_second=live,
        )
    except InvalidFault as error:
        raise click.BadParameter(str(error), param_hint="--fault") from None
    except InvalidLiveSettings as error:
        raise click.UsageError(str(error)) from None
    click.echo("Simulated Graph API. For commands in another terminal:")
    click.echo(f"  export MESSENGER_GRAPH_URL=http://127.0.0.1:{port}")
    click.echo("  export MESSENGER_CALLS_PER_SECOND=1000")
    if app_secret:
        click.echo("  export MESSENGER_APP_SECRET=…  # the one of --app-secret")
    if webhook_url:
        click.echo(
            f"  export MESSENGER_APP_ID={APP_ID}  # for the receiver, `messenger-pipeline serve`"
        )
        click.echo(
            "  export MESSENGER_VERIFY_TOKEN=any  # the receiver's; the simulator never sends it"
        )
    for page in world.pages.values():
        add = f"pages add {page.graph_id or page.id}"
        add += " --platform instagram" if page.is_instagram else ""
        click.echo(f"  echo {page.token} | messenger-pipeline {add}")
    if live:
        click.echo(
            f"{live:g} events a second happen on these pages and are delivered to {webhook_url}."
        )
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


_ui_port = click.option(
    "--ui-port", type=click.IntRange(1, 65535), default=3000, show_default=True,
    help="The port of Dagster's pages.",
)  # fmt: skip
_conversations = click.option(
    "--conversations", type=click.IntRange(min=1), default=3000, show_default=True,
    help="Conversations of the first simulated page; the others have fewer.",
)  # fmt: skip
_pages = click.option(
    "--pages", "page_count", type=click.IntRange(min=1), default=5, show_default=True,
    help="How many pages to simulate.",
)  # fmt: skip


@click.command()
@_ui_port
@click.option(
    "--port", "receiver_port", type=click.IntRange(1, 65535), default=8000, show_default=True,
    help="The port of the webhook receiver and status page.",
)  # fmt: skip
@click.option(
    "--real", is_flag=True, help="Use your settings' database and Meta; simulate nothing."
)
@_conversations
@_pages
def dev(ui_port: int, receiver_port: int, real: bool, conversations: int, page_count: int) -> None:
    """Run everything on this machine until Ctrl-C.

    Starts PostgreSQL, Dagster, the webhook receiver, and a simulated Graph API with live traffic.
    """
    from messenger_pipeline.local.dev import keep_up

    keep_up(
        out,
        ui_port=ui_port,
        receiver_port=receiver_port,
        real=real,
        conversations=conversations,
        page_count=page_count,
    )


@click.command()
@_ui_port
@_conversations
@_pages
def demo(ui_port: int, conversations: int, page_count: int) -> None:
    """Sync simulated pages, check every message, and exit.

    Uses the same processes as `dev`, with real Dagster runs. Takes one to three minutes.
    """
    from messenger_pipeline.local.demo import demonstrate

    demonstrate(out, ui_port=ui_port, conversations=conversations, page_count=page_count)


@click.command()
def key() -> None:
    """Print a new key for MESSENGER_TOKEN_KEY."""
    click.echo(new_key())
