"""All commands: one is found by what was typed, and run to its exit code."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidProperties, ZarrStreamError

from .acquire import ACQUIRE
from .command import say
from .exit_codes import EXIT_CODES, FAILED, INTERRUPTED, REFUSED
from .export import EXPORT
from .info import INFO
from .record import RECORD
from .repair import REPAIR
from .upload import UPLOAD


def asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was typed, or is in `sys.argv`, as a command to `run`.

    Raises
    ------
    SystemExit
        It is no command, or one that only asks for help.
    """
    for output in (sys.stdout, sys.stderr):
        # Consoles of Windows, and files that they are led to, have few characters.
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")
    return _parser().parse_args(arguments)


def run(given: argparse.Namespace) -> int:
    """Run a command; returns its exit code."""
    try:
        code: int = given.run(given)
        sys.stdout.flush()
    except ZarrStreamError as error:
        say(str(error))
        return REFUSED if isinstance(error, InvalidProperties) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # Windows says so of a pipe that nobody reads any more.
        closed = {errno.EPIPE, errno.EINVAL} if system.IS_WINDOWS else {errno.EPIPE}
        if error.errno not in closed:
            raise
        # Whoever read our output has seen enough, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-zarr-stream",
        description="Record cameras and images into chunked, multiscale OME-Zarr.",
        epilog=EXIT_CODES,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {version('napari-zarr-stream')}",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (RECORD, EXPORT, ACQUIRE, UPLOAD, INFO, REPAIR):
        options = commands.add_parser(
            command.name, help=command.help, description=command.description
        )
        command.add_options(options)
        options.set_defaults(run=command.run)
    return parser
