"""Web servers that answer oddly: read where that can be, or told apart in words."""

import base64
import gzip
import re

import numpy as np
import pytest
from odd_stores import addressed
from servers import serving
from tables import long_but

from napari_zarr_stream import DeviceKind, InvalidStore, StorageProperties, ZarrStream
from napari_zarr_stream._reading.locate import located
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._writer.ozx import write_ozx

PIXELS = addressed((5, 50, 70))


def recorded(path, kind, **options):
    properties = StorageProperties(
        path, kind, tile_width=16, tile_height=16, enable_multiscale=True, **options
    )
    with ZarrStream(
        properties, axes="tyx", shape=(None, 50, 70), dtype="uint16"
    ) as stream:
        stream.append(PIXELS)


def missing(status, body=b"no"):
    """What is not there is answered so."""
    body = b"" if status == 204 else body
    return lambda handler, path, data: (status, body, {}) if data is None else None


def is_chunk(path):
    return not path.rpartition("/")[2].startswith((".", "zarr.json"))


def chunks(status):
    return lambda handler, path, data: (status, b"no", {}) if is_chunk(path) else None


def all_of(status):
    return lambda handler, path, data: (status, b"no", {})


def no_ends(status):
    def answer(handler, path, data):
        if not (handler.headers.get("Range") or "").startswith("bytes=-"):
            return None
        return status, data if status == 200 else b"no", {}

    return answer


def no_head(status):
    return lambda handler, path, data: (
        (status, b"", {}) if handler.command == "HEAD" else None
    )


def closing(handler, path, data):
    if data is None or not is_chunk(path):
        return None
    handler.close_connection = True
    return 200, data[:100], {"Content-Length": str(len(data))}


def without_length(handler, path, data):
    if data is None:
        return None
    handler.close_connection = True
    return 200, data, {"Content-Length": None}


def packed(handler, path, data):
    if data is None:
        return None
    return 200, gzip.compress(data), {"Content-Encoding": "gzip"}


def others_parts(handler, path, data):
    if handler.headers.get("Range") is None or data is None:
        return None
    return 206, data[:9], {"Content-Range": f"bytes 0-8/{len(data)}"}


# id: how it answers
ODD_SERVERS = {
    **{f"missing {n}": missing(n) for n in (204, 400, 401, 403, 405, 410)},
    "missing is empty": missing(200, b""),
    "missing is words about it": missing(200, b'{"error": "not found"}'),
    # danvk/RangeHTTPServer, vercel/serve
    "no ends 200": no_ends(200),
    "no ends 400": no_ends(400),
    "no ends 416": no_ends(416),
    "no head 403": no_head(403),
    "no head 405": no_head(405),
}
FORMS = {
    "sharded": (DeviceKind.ZARR_V3_LZ4, {"sharded": True}),
    "v2": (DeviceKind.ZARR_LZ4, {"frames_per_chunk": 2}),
    "ozx": (DeviceKind.ZARR_V3_LZ4, {"sharded": True}),
}


@pytest.fixture(scope="module")
def odd_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for form, (kind, options) in FORMS.items():
        recorded(folder / f"{form}.zarr", kind, **options)
    write_ozx(folder / "ozx.zarr", folder / "ozx.zarr.ozx", "0.5")
    with serving(folder) as server:
        yield server
        server.instead = None


def at(server, form):
    return f"{server.address}/{form}.zarr{'.ozx' if form == 'ozx' else ''}"


@pytest.mark.parametrize(
    "case", long_but(ODD_SERVERS, "missing 401", "no ends 416", "no head 405")
)
def test_servers_that_answer_oddly_are_read(case, odd_server):
    odd_server.instead = ODD_SERVERS[case]
    for form in FORMS:
        ((levels, _, _),) = layers_of(located(at(odd_server, form)))
        np.testing.assert_array_equal(levels[0][3], PIXELS[3])
        assert len(levels) > 1


# id: how it answers, and what is said of each form
SAID = {
    "all 401": (all_of(401), "who is logged in"),
    "all 410": (all_of(410), r"does not answer .* \(410 Gone"),
    "all 418": (all_of(418), r"does not answer .* \(418 I'm a teapot"),
    "all 429": (all_of(429), r"asked too often \(429"),
    "all 503": (all_of(503), r"trouble of its own.* \(503 Service Unavailable"),
    "chunks 401": (chunks(401), "who is logged in"),
    "chunks 416": (chunks(416), "cannot send parts of files"),
    "chunks 500": (chunks(500), r"trouble of its own.* \(500 Internal"),
    "closing": (closing, "closed the connection before|cannot send parts"),
    "without length": (without_length, "not say how long|cannot send parts"),
    "other parts": (others_parts, "sends other parts"),
}


@pytest.mark.parametrize("case", long_but(SAID, "all 410", "chunks 416", "closing"))
def test_servers_that_cannot_be_read_are_told_apart(case, odd_server):
    odd_server.instead, words = SAID[case]
    for form in ["sharded"] if case == "other parts" else FORMS:
        with pytest.raises(InvalidStore, match=words) as failure:
            layers_of(located(at(odd_server, form)))
        assert not re.search("Generic|retry|Error perf", str(failure.value))


def test_what_is_sent_packed_is_said(odd_server):
    odd_server.instead = packed
    for form in ("sharded", "v2"):
        with pytest.raises(InvalidStore, match="is sent packed"):
            layers_of(located(at(odd_server, form)))


def test_a_name_and_a_password_are_sent(odd_server):
    known = base64.b64encode("me:p@ß".encode()).decode()
    odd_server.instead = lambda handler, path, data: (
        None
        if handler.headers.get("Authorization") == f"Basic {known}"
        else (401, b"who?", {})
    )
    named = at(odd_server, "sharded").replace("//", "//me:p%40%C3%9F@")
    ((levels, _, _),) = layers_of(located(named))
    np.testing.assert_array_equal(levels[0][3], PIXELS[3])
    with pytest.raises(InvalidStore, match="who is logged in") as failure:
        layers_of(located(named.replace("p%40", "other")))
    assert "other" not in str(failure.value)


def test_a_link_that_is_signed_says_what_to_do(odd_server):
    odd_server.instead = all_of(403)
    with pytest.raises(InvalidStore, match="is not sent: a link that is signed"):
        layers_of(located(f"{at(odd_server, 'ozx')}?X-Amz-Signature=secret"))
