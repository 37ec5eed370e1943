"""The command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partial (run again to go on),
4 a sync of this page is in progress, 5 the page's owner must act.
"""

import logging
import os
import signal
import sys

import click

from messenger_pipeline.commands import (
    alerts,
    processes,
    quarantine,
    registry,
    schema,
    serving,
    syncing,
    webhook,
)
from messenger_pipeline.commands.console import say_error
from messenger_pipeline.errors import PipelineError, UsageError


def main() -> None:
    """Run a command; errors are said in words and end with their exit code."""
    # Asked to end, a command ends as at Ctrl-C: what it started ends with it.
    # The pool tells of each attempt to connect; the error at the end is enough.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, signal.default_int_handler)
    try:
        sys.exit(cli.main(standalone_mode=False))
    except PipelineError as error:
        say_error(str(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say_error("Interrupted.")
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output went away, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="messenger-pipeline")
def cli() -> None:
    """Messenger conversations of Facebook pages, in PostgreSQL.

    Settings come from MESSENGER_… variables or .env; see the README.
    """


for command in (
    schema.db,
    registry.pages_group,
    syncing.sync,
    registry.status,
    alerts.alerts,
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
