"""The command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partial (run again to continue),
4 a sync of this page is in progress, 5 the page's owner must act.

No command ends in a traceback. So the commands are imported where an error is caught, and this
module imports only what cannot fail, and takes too little time for a Ctrl-C.
"""

import os
import signal
import sys
from contextlib import suppress

from messenger_pipeline.errors import PipelineError, UsageError

INTERRUPTED = 130


def main() -> None:
    """Run a command. An error is printed as a sentence and ends with its exit code."""
    _prepare_streams()
    try:
        # A command that is terminated ends as at Ctrl-C: what it started ends with it.
        _handle_signals(signal.default_int_handler)
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        code = _give_up_output(error)
    # Nothing is left to undo: a second Ctrl-C may end the process at once.
    _handle_signals(signal.SIG_DFL)
    sys.exit(code)


def _run() -> int | str | None:
    """Run the command. Returns its exit code. Raises OSError if its output cannot be written."""
    try:
        from messenger_pipeline.commands.crash_report import prepare_reports

        prepare_reports()
        import click

        try:
            from messenger_pipeline.commands.group import cli

            code: int | None = cli.main(standalone_mode=False)
            return code
        except click.ClickException as error:
            error.show()
            return UsageError.exit_code
        except click.exceptions.Exit as ended:
            return ended.exit_code
        except click.Abort:
            raise KeyboardInterrupt from None
    except PipelineError as error:
        _print_error(str(error))
        return error.exit_code
    except SystemExit as ended:
        return ended.code
    except KeyboardInterrupt:
        _print_error("Interrupted.")
        return INTERRUPTED
    except BaseException as error:
        if isinstance(error, OSError) and _is_of_output(error):
            raise
        from messenger_pipeline.commands.crash_report import report_crash

        _print_error(report_crash(error))
        return PipelineError.exit_code


def _handle_signals(action: object) -> None:
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, action)  # type: ignore[arg-type]


def _prepare_streams() -> None:
    """Let output go nowhere if its stream is closed, and print what the terminal cannot show as
    escapes."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - for the process's life
        with suppress(AttributeError):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _is_of_output(error: OSError) -> bool:
    """Whether the error is one of writing to our output, not to a file or socket."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    module = str(trace.tb_frame.f_globals.get("__name__")) if trace else ""
    return isinstance(error, BrokenPipeError) or module.partition(".")[0] in ("click", "rich")


def _give_up_output(error: OSError) -> int:
    """Discard what is left to print. Returns the exit code."""
    if not isinstance(error, BrokenPipeError):  # as by `head`
        with suppress(OSError):
            _print_error(f"The output cannot be written: {error.strerror}.")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
            continue
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return PipelineError.exit_code


def _print_error(text: str) -> None:
    sys.stderr.write(f"Error: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
