"""The group of all commands."""

import click

from messenger_pipeline.commands import (
    alerts,
    environments,
    gaps,
    processes,
    psql,
    quarantine,
    registry,
    serving,
    syncing,
    webhook,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="messenger-pipeline")
def cli() -> None:
    """Copy the Messenger conversations of Facebook pages into PostgreSQL.

    Settings come from environment variables (MESSENGER_…) or a file .env: see docs/settings.md.
    """


for command in (
    environments.db,
    registry.pages_group,
    syncing.sync,
    registry.status,
    psql.psql,
    alerts.alerts,
    gaps.gaps_group,
    quarantine.quarantine_group,
    serving.serve,
    webhook.webhook_group,
    processes.simulate,
    processes.dev,
    processes.demo,
    processes.key,
):
    cli.add_command(command)
