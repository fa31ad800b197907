"""`upload`: a store that is there to a bucket, another disk, a network folder."""

import argparse
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from napari_zarr_stream._upload.credentials import Keys
from napari_zarr_stream._upload.local_copy import check_may_go
from napari_zarr_stream._upload.progress import UploadPhase, UploadStatus
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._upload.uploader import Uploader
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.words import count_in_words, size_in_words

from .command import Command, local_store, say
from .exit_codes import FAILED, INTERRUPTED

POLL_S = 0.1

ADDRESS = (
    "s3://BUCKET/PATH, az://CONTAINER/PATH, or a folder on another disk; of the store, "
    "if it ends in .zarr, else of what it goes into by its name"
)

KEYS = (
    "Keys are taken from the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
    "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY), from the AWS profile "
    "of this user, or asked for with --ask-keys. They are kept nowhere."
)


def add_upload_options(parser: argparse.ArgumentParser) -> None:
    """Those that `record` has as well."""
    parser.add_argument(
        "--endpoint", dest="upload_endpoint", metavar="URL",
        help="of a server of S3 that is not Amazon's (else AWS_ENDPOINT_URL)",
    )  # fmt: skip
    parser.add_argument(
        "--ask-keys", action="store_true", help="ask for the keys of the bucket"
    )
    parser.add_argument(
        "--delete-local", action="store_true", default=None,
        help="delete the local copy when all of it was uploaded and compared",
    )  # fmt: skip


def asked_keys(given: argparse.Namespace) -> Keys | None:
    """What somebody types, unseen; None where the environment says it."""
    if not given.ask_keys:
        return None
    print("Access key (of Azure: account): ", end="", file=sys.stderr, flush=True)
    name = sys.stdin.readline().strip()
    return Keys(name, getpass.getpass("Secret key: "))


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store")
    parser.add_argument("address", help=ADDRESS)
    add_upload_options(parser)
    parser.epilog = KEYS


def _upload(given: argparse.Namespace) -> int:
    store = local_store(given.store).absolute()
    if given.delete_local:
        check_may_go(store)
    request = UploadRequest(
        given.address,
        given.upload_endpoint or "",
        bool(given.delete_local),
        asked_keys(given),
    )
    uploader = request.uploader(Path(store))
    uploader.upload(store)
    try:
        follow_upload([uploader])
    except KeyboardInterrupt:
        uploader.stop()
        uploader.wait()
        say("interrupted: run it again to go on")
        return INTERRUPTED
    return tell_of_upload(uploader.status())


def follow_upload(uploaders: Sequence[Uploader]) -> None:
    """Show progress until the end of all."""
    trouble = ""
    with tqdm(
        unit="B", unit_scale=True, desc="upload", file=sys.stderr, disable=None
    ) as bar:
        for uploader in uploaders:
            while not uploader.wait(POLL_S):
                status = uploader.status()
                bar.total = status.bytes_uploaded + status.bytes_behind
                bar.update(status.bytes_uploaded - bar.n)
                if status.trouble and status.trouble != trouble:
                    say(f"{status.trouble}; trying again")
                trouble = status.trouble


def tell_of_upload(status: UploadStatus) -> int:
    """Say how it ended; returns the exit code, or raises why it failed."""
    for note in status.notes:
        say(note)
    if status.error is not None:
        raise status.error
    if status.phase is not UploadPhase.DONE:
        say(f"the upload to {status.address} did not end")
        return FAILED
    files = count_in_words(status.files_uploaded, "file")
    gone = "; the local copy is deleted" if status.is_local_deleted else ""
    print(
        f"{status.address}: {files} sent, {size_in_words(status.bytes_uploaded)}; all "
        f"is there{gone}"
    )
    return 0


def finish_uploads(uploaders: Sequence[Uploader], stores: Sequence[Path | None]) -> int:
    """Wait until all is there; the exit code. What is recorded is safe, whatever.

    `stores` are those that are uploaded, for who goes on with it.
    """
    try:
        follow_upload(uploaders)
    except KeyboardInterrupt:
        for uploader in uploaders:
            uploader.stop()
    code = 0
    for uploader, store in zip(uploaders, stores, strict=False):
        uploader.wait()
        try:
            code = max(code, tell_of_upload(uploader.status()))
        except ZarrStreamError as failure:
            say(
                f"the upload failed: {failure}. Go on with: napari-zarr-stream upload "
                f"{store} {uploader.status().address}"
            )
            code = FAILED
    return code


UPLOAD = Command(
    "upload",
    "bring a store to a bucket, another disk or a network folder",
    "Bring a store to a bucket, another disk or a network folder: what is missing "
    "there is sent, and all of it is compared. May be interrupted and run again.",
    _add_options,
    _upload,
)
