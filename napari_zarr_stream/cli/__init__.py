"""The command line: napari-zarr-stream record | export | info | repair."""

import argparse
import os
import sys
from collections.abc import Sequence

from napari_zarr_stream._writer.errors import InvalidProperties, ZarrStreamError

from .command import (
    EXIT_CODES,
    FAILED,
    FRAMES_LOST,
    INTERRUPTED,
    REFUSED,
    REPAIRABLE,
    say,
)
from .export import EXPORT
from .info import INFO
from .record import RECORD
from .repair import REPAIR

__all__ = [
    "FAILED",
    "FRAMES_LOST",
    "INTERRUPTED",
    "REFUSED",
    "REPAIRABLE",
    "main",
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = _parser().parse_args(arguments)
    try:
        code: int = given.run(given)
    except ZarrStreamError as error:
        say(str(error))
        return REFUSED if isinstance(error, InvalidProperties) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (RECORD, EXPORT, INFO, REPAIR):
        options = commands.add_parser(
            command.name, help=command.help, description=command.description
        )
        command.add_options(options)
        options.set_defaults(run=command.run)
    return parser
