"""Who may write there: from the environment, a profile, or asked for; never kept."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_zarr_stream._writer.errors import InvalidProperties

from .address import Address

_SECRET_NAMES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_KEY", "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING",
)  # fmt: skip
"""Variables whose value is told to nobody."""

_LOOKS_SECRET = re.compile(
    r"(?i)(?P<name>sig|signature|x-amz-[a-z-]*(?:signature|credential|token)|"
    r"credential|accountkey|account_key|sharedaccesssignature|awsaccesskeyid|"
    r"aws_[a-z_]*key[a-z_]*|aws_session_token|secret[a-z_]*|password|token|"
    r"authorization)"
    r"(?P<is>\s*[=:>]\s*\"?|%3d)(?:bearer\s+|aws4-hmac-sha256\s+|sharedkey\s+)?"
    r"[^\s&\",;<>]+"
)

HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Keys:
    """What somebody typed: an access key of S3, or an account of Azure, and its secret.

    Never shown: not in its own words either.
    """

    name: str = field(repr=False)
    secret: str = field(repr=False)


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without secrets that are known, and what looks like one.

    >>> scrubbed("GET http://h/c?sv=1&sig=abc%2Bd failed")
    'GET http://h/c?sv=1&sig=*** failed'
    """
    known = [os.environ.get(name, "") for name in _SECRET_NAMES]
    for secret in sorted((*known, *secrets), key=len, reverse=True):
        if len(secret) > 3:
            text = text.replace(secret, HIDDEN)
    text = re.sub(r"(?i)://[^\s@]+@", f"://{HIDDEN}@", text)
    return _LOOKS_SECRET.sub(lambda m: f"{m['name']}{m['is']}{HIDDEN}", text)


def profile_provider(
    note: Callable[[Iterable[str]], None],
) -> Callable[[], Mapping[str, Any]] | None:
    """Keys of the AWS profile of this user, renewed as they expire; None without.

    `note` is told the secrets in them, which no message may have.
    """
    try:
        import botocore.session
    except ImportError:
        return None
    session = botocore.session.Session()
    found = session.get_credentials()
    if found is None:
        return None

    def provide() -> Mapping[str, Any]:
        frozen = found.get_frozen_credentials()
        note(filter(None, (frozen.access_key, frozen.secret_key, frozen.token)))
        # Renewed by botocore where they expire; asked again after some minutes.
        from datetime import UTC, datetime, timedelta

        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + timedelta(minutes=10),
        }

    return provide


def profile_region() -> str | None:
    """The region that the profile says."""
    try:
        import botocore.session
    except ImportError:
        return None
    region = botocore.session.Session().get_config_variable("region")
    return str(region) if region else None


def no_keys(address: Address) -> InvalidProperties:
    """That nobody said who may write there."""
    if address.scheme == "az":
        where = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or _SAS_KEY)"
        profile = ""
    else:
        where = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        profile = ", have a profile in ~/.aws/credentials (AWS_PROFILE names it)"
    return InvalidProperties(
        f"nothing says who may write to {address}: set {where}{profile}, or let the "
        "keys be asked for (--ask-keys; in the dock the button Keys)"
    )
