"""A container of Azure, where Azurite is installed: npm install azurite."""

import base64
import datetime
import hashlib
import hmac
import os
import shutil
import subprocess
import urllib.request

import obstore
import pytest
from buckets import free_ports, local_files
from waiting import wait_until

from napari_zarr_stream import cli

ACCOUNT = "devstoreaccount1"
KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/"
    "KBHBeksoGMGw=="
)
"""Of the emulator, as its documentation prints them."""


def make_container(endpoint, name):
    """By the REST interface (2021-08-06): obstore makes none."""
    now = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    said = "\n".join(
        ["PUT", *[""] * 11, f"x-ms-date:{now}", "x-ms-version:2021-08-06",
         f"/{ACCOUNT}/{ACCOUNT}/{name}", "restype:container"]
    )  # fmt: skip
    signed = hmac.new(base64.b64decode(KEY), said.encode(), hashlib.sha256).digest()
    request = urllib.request.Request(
        f"{endpoint}/{name}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": now,
            "x-ms-version": "2021-08-06",
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}",
            "Content-Length": "0",
        },
    )
    urllib.request.urlopen(request).close()


@pytest.fixture
def container(tmp_path, monkeypatch):
    program = os.environ.get("AZURITE") or shutil.which("azurite")
    if program is None:
        pytest.skip("Azurite is not installed: npm install azurite; AZURITE says where")
    blob, queue, table = free_ports(3)
    command = [program, "-s", "-l", str(tmp_path / "azure"), "--skipApiVersionCheck",
               "--blobPort", str(blob), "--queuePort", str(queue),
               "--tablePort", str(table)]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{blob}/{ACCOUNT}"

    def answers():
        assert process.poll() is None
        try:
            make_container(endpoint, "cells")
        except OSError:
            return False
        return True

    wait_until(answers)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
    from obstore.store import AzureStore

    yield AzureStore("cells", endpoint=endpoint, client_options={"allow_http": True})
    process.kill()
    process.wait()


@pytest.mark.long
def test_a_store_goes_to_a_container(container, store, capsys):
    files = local_files(store)
    assert cli.main(["upload", str(store), "az://cells/my µ"]) == 0
    found = {
        meta["path"].removeprefix("my µ/cells.zarr/"): bytes(
            obstore.get(container, meta["path"]).bytes()
        )
        for meta in obstore.list(container, "my µ").collect()
    }
    assert found == files
    assert cli.main(["upload", str(store), "az://cells/my µ"]) == 0
    assert "0 files sent" in capsys.readouterr().out
    assert cli.main(["upload", str(store), "az://none/my µ"]) == 1
    assert "there is no such bucket: az://none" in capsys.readouterr().err
    # Without checksums everything is read back before the copy here goes.
    assert cli.main(["upload", str(store), "az://cells/my µ", "--delete-local"]) == 0
    assert not store.exists()
