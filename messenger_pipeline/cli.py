"""The command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partial (run again to continue),
4 a sync of this page is in progress, 5 the page's owner must act.
"""

import logging
import os
import signal
import sys

import click

from messenger_pipeline.commands import (
    alerts,
    gaps,
    processes,
    psql,
    quarantine,
    registry,
    schema,
    serving,
    syncing,
    webhook,
)
from messenger_pipeline.commands.console import print_error
from messenger_pipeline.errors import PipelineError, UsageError


def main() -> None:
    """Run a command. An error is printed as a sentence and ends with its exit code."""
    # The pool logs each attempt to connect; the error at the end is enough.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    # A command that is terminated ends as at Ctrl-C: what it started ends with it.
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, signal.default_int_handler)
    try:
        sys.exit(cli.main(standalone_mode=False))
    except PipelineError as error:
        print_error(str(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print_error("Interrupted.")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output ended, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="messenger-pipeline")
def cli() -> None:
    """Copy the Messenger conversations of Facebook pages into PostgreSQL.

    Settings come from environment variables (MESSENGER_…) or a file .env: see docs/settings.md.
    """


for command in (
    schema.db,
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


if __name__ == "__main__":
    main()
