"""What is said of a network in trouble: in words, and never a secret in them."""

import asyncio
import sys
import traceback

import pytest

from napari_zarr_stream import InvalidProperties, RecordSettings
from napari_zarr_stream._upload.address import address_of
from napari_zarr_stream._upload.credentials import (
    HIDDEN,
    Keys,
    profile_provider,
    scrubbed,
)
from napari_zarr_stream._upload.following import Levels
from napari_zarr_stream._upload.objects import ObjectTarget
from napari_zarr_stream._upload.progress import (
    UploadPhase,
    UploadStatus,
    upload_in_words,
)
from napari_zarr_stream._upload.target import NotSent
from napari_zarr_stream._upload.trouble import trouble_of

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"

SAID = {
    "wrong secret": (
        "403 Forbidden: <Code>SignatureDoesNotMatch</Code>",
        "the secret does not belong",
        True,
    ),
    "unknown key": (
        "403 <Code>InvalidAccessKeyId</Code>",
        "does not know the access key",
        True,
    ),
    "expired": ("400 <Code>ExpiredToken</Code>", "have expired: log in again", True),
    "clock": (
        "403 <Code>RequestTimeTooSkewed</Code>",
        "the clock of this computer",
        True,
    ),
    "no bucket": ("404 <Code>NoSuchBucket</Code>", "there is no such bucket", True),
    "no container": (
        "404 <Code>ContainerNotFound</Code>",
        "there is no such bucket",
        True,
    ),
    "forbidden": ("403 Forbidden: <Code>AccessDenied</Code>", "refused (403)", True),
    "region": ("301 Moved Permanently PermanentRedirect", "is in another region", True),
    "certificate": ("invalid peer certificate: UnknownIssuer", "is not trusted", True),
    "no https": (
        "received corrupt message of type InvalidContentType",
        "does not speak https",
        True,
    ),
    "name": ("dns error: failed to lookup address information", "is not found", False),
    "refused": (
        "Connect, tcp connect error: Connection refused (os error 111)",
        "refused the connection",
        False,
    ),
    "timeout": ("operation timed out", "did not answer in time", False),
    "broken": ("connection reset by peer", "broke", False),
    "busy": ("503 Service Unavailable SlowDown", "is busy", False),
    "full": ("507 InsufficientStorage", "is full: make room", True),
}


@pytest.mark.parametrize("case", SAID)
def test_trouble_in_words(case):
    said, expected, is_lasting = SAID[case]
    own = "max_retries: 3, retry_timeout: 5s  - HTTP error"
    for text in (said, f"{own}\n\nDebug source:\n{said}"):
        words, lasts = trouble_of(text, "s3://bucket/a.zarr")
        assert expected in words
        assert "s3://bucket/a.zarr" in words
        assert lasts is is_lasting


LEAKS = [
    f"Authorization: AWS4-HMAC-SHA256 Credential={SECRET}/20261126, Signature={SECRET}",
    f"https://host/c?sv=2024&sig={SECRET}&se=1",
    f"GET http://me:{SECRET}@host/a failed",
    f"AccountKey={SECRET};EndpointSuffix=core",
    f"<AWSAccessKeyId>{SECRET}</AWSAccessKeyId>",
    f"secret_access_key: {SECRET}",
    f"x-amz-security-token={SECRET}",
    f"the key is {SECRET}",
]


@pytest.mark.parametrize("leak", LEAKS)
def test_no_secret_is_told(leak, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert SECRET not in scrubbed(leak)
    assert HIDDEN in scrubbed(leak)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert SECRET not in scrubbed(leak, [SECRET])
    if leak is not LEAKS[-1]:  # which nothing but the secret itself gives away
        assert SECRET[:12] not in scrubbed(leak)


def test_keys_are_in_no_error_and_no_words(monkeypatch):
    """Also not in the traceback of what is not known."""
    keys = Keys("AKIA-of-nobody", SECRET)
    assert SECRET not in repr(keys)
    assert "AKIA" not in f"{keys}"
    target = ObjectTarget(address_of("s3://bkt/a.zarr"), "http://127.0.0.1:9", keys)

    async def fails(*_, **__):
        raise target._obstore.exceptions.GenericError(f"odd {SECRET} AKIA-of-nobody")

    monkeypatch.setattr(target._obstore, "put_async", fails)
    with pytest.raises(NotSent) as caught:
        asyncio.run(target.write("zarr.json", b"1"))
    told = "".join(traceback.format_exception(caught.value))
    assert "odd ***" in told
    assert SECRET not in told
    assert "AKIA" not in told


def test_a_profile_says_who_may_write(tmp_path, monkeypatch):
    pytest.importorskip("botocore")
    file = tmp_path / "credentials"
    file.write_text(
        f"[lab]\naws_access_key_id = AKIALAB\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert profile_provider(list) is None
    with pytest.raises(InvalidProperties, match="set AWS_ACCESS_KEY_ID") as refused:
        ObjectTarget(address_of("s3://bkt/a.zarr"), "", None)
    assert "--ask-keys" in str(refused.value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    noted = []
    provide = profile_provider(noted.extend)
    assert provide()["secret_access_key"] == SECRET
    assert SECRET in noted


def test_without_the_client_the_command_to_install_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(InvalidProperties) as refused:
        ObjectTarget(address_of("s3://bkt/a.zarr"), "", None)
    assert "pip install 'napari-zarr-stream[remote]'" in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"upload_to": "gs://b/a"}, "Google's buckets"),
        ({"upload_to": f"s3://me:{SECRET}@b/a"}, "an address with keys in it"),
        ({"upload_to": "s3://b", "upload_endpoint": "host"}, "https://HOST:PORT"),
        (
            {"upload_to": "s3://b", "upload_endpoint": f"http://me:{SECRET}@host"},
            "an address with keys in it",
        ),
        ({"delete_local": True}, "delete_local without upload_to"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(InvalidProperties, match=said) as refused:
        RecordSettings(**settings)
    assert SECRET not in str(refused.value)


def test_a_night_without_network_takes_little_memory():
    """Steps that wait are counted up to a bound; then no level is told of."""
    levels = Levels()
    document = {
        "shape": [0, 8, 8],
        "chunk_grid": {"configuration": {"chunk_shape": [1, 8, 8]}},
    }
    levels.told("0/zarr.json", document)
    for step in range(60_000):
        levels.began(f"0/c/{step}/0/0")
    assert levels.is_frozen
    assert len(levels._levels["0"].waiting) <= 50_001
    assert levels.due() == []


def test_how_far_behind_in_words():
    status = UploadStatus(
        UploadPhase.FOLLOWING, "s3://b/a.zarr", bytes_behind=6 * 10**8,
        bytes_per_second=10**7,
    )  # fmt: skip
    said = "upload 12 frames, 600 MB behind, 60 s at 10 MB/s"
    assert upload_in_words(status, 12) == said
    done = UploadStatus(UploadPhase.DONE, "s3://b/a.zarr")
    assert upload_in_words(done) == "Uploaded to s3://b/a.zarr"
