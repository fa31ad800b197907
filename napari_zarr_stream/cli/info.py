"""`info`: what a store holds."""

import argparse
import json

from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.locate import located
from napari_zarr_stream._writer.names import from_home

from .command import Command, plain


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", help="a folder, or an address: https, s3 or az")
    parser.add_argument("--json", action="store_true", help="for programs")


def _info(given: argparse.Namespace) -> int:
    facts = facts_of(located(from_home(given.store)))
    print(json.dumps(facts, indent=2) if given.json else plain(text_of(facts)))
    return 0


INFO = Command(
    "info",
    "what a store holds",
    "Say what a store holds, and in what state it is.",
    _add_options,
    _info,
)
