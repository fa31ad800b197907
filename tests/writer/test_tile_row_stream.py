"""By rows, an image is what it is by planes, chunk for chunk."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from contents import contents
from stores import TestedStore

from napari_zarr_stream import (
    FrameMismatch,
    IllegalTransition,
    InvalidProperties,
    StorageProperties,
    WriteFailed,
    ZarrStream,
)
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.ngff_image import Image, check_channels
from napari_zarr_stream._writer.plan import plan
from napari_zarr_stream._writer.record import RECORD_KEY
from napari_zarr_stream._writer.tile_row_stream import TileRowStream, rows_memory


@dataclass
class Case:
    axes: str
    shape: tuple
    dtype: str = "u2"
    kind: str = "ZarrV3Blosc1ZstdByteShuffle"
    method: str = "mean"
    tile: tuple = (16, 16)
    more: dict = field(default_factory=dict)
    is_label: bool = False


V2, RAW2, RAW3 = "ZarrBlosc1Lz4ByteShuffle", "Zarr", "ZarrV3"
SHARDED = {"sharded": True, "frames_per_chunk": 1}
ALL = {
    "even": Case("yx", (64, 96), more=SHARDED),
    "odd": Case("yx", (61, 83), more=SHARDED),
    "odd tiles": Case("yx", (61, 83), tile=(7, 9), more=SHARDED),
    "one row": Case("yx", (1, 83), more=SHARDED),
    "one column": Case("yx", (83, 1), more=SHARDED),
    "one pixel more": Case("yx", (65, 97), more=SHARDED),
    "less than a tile": Case("yx", (9, 11), more=SHARDED),
    "narrow": Case("yx", (200, 5), more=SHARDED),
    "tiles of whole rows": Case("yx", (61, 83), tile=(8, 0), more=SHARDED),
    "planes along z": Case("zyx", (3, 61, 83), more=SHARDED),
    "times and channels": Case("tczyx", (2, 2, 3, 33, 35), more=SHARDED),
    "shards of many tiles": Case(
        "tyx", (3, 61, 83), more=SHARDED | {"shard_chunks": (2, 3)}
    ),
    "a shard for all": Case(
        "tyx", (3, 61, 83), more=SHARDED | {"shard_chunks": (0, 0)}
    ),
    "no shards": Case("yx", (61, 83)),
    "v2": Case("yx", (61, 83), kind=V2),
    "v2, chunks along t": Case("tyx", (3, 300, 410), kind=V2, tile=(200, 200)),
    "v2, one frame a chunk": Case(
        "tyx", (3, 61, 83), kind=V2, more={"frames_per_chunk": 1}
    ),
    "v2 raw": Case("yx", (61, 83), kind=RAW2),
    "v2 raw, chunks along t": Case("tyx", (5, 61, 83), kind=RAW2),
    "v3 raw": Case("zyx", (3, 61, 83), kind=RAW3, more=SHARDED),
    "no levels": Case("yx", (61, 83), more=SHARDED | {"enable_multiscale": False}),
    "labels": Case("zyx", (2, 61, 83), "u4", method="mode", is_label=True),
    "labels decimated": Case("yx", (61, 83), "i8", method="decimate", is_label=True),
    **{
        f"{method} of {dtype}": Case("yx", (61, 83), dtype, method=method)
        for method in ("mean", "mode", "decimate", "min", "max")
        for dtype in ("?", "u1", "i1", "u2", "i4", "u8", "i8", "f4", "f8")
    },
}
QUICK = [
    "odd tiles", "times and channels", "shards of many tiles", "v2 raw, chunks along t",
    "labels", "mean of u1", "mean of f4", "max of i4", "one row",
]  # fmt: skip
TABLE = [
    pytest.param(case, id=name, marks=() if name in QUICK else pytest.mark.long)
    for name, case in ALL.items()
]


def properties_of(case, path):
    return StorageProperties(
        path,
        case.kind,
        tile_height=case.tile[0],
        tile_width=case.tile[1],
        tile_planes=1,
        downsampling_method=case.method,
        **case.more,
    )


def by_rows(case, path, store=None, **changes):
    properties = replace(properties_of(case, path), **changes)
    p = plan(properties, axes=case.axes, shape=case.shape, dtype=case.dtype)
    image = Image(
        plan=p,
        name="image",
        method=properties.method,
        scale=(1.0,) * len(case.axes),
        translation=(0.0,) * len(case.axes),
        units=(None,) * len(case.axes),
        channels=check_channels(None, p),
        is_label=case.is_label,
        inside_image=False,
        record={},
    )
    return TileRowStream(properties, image, store or LocalStore(path, overwrite=False))


def pixels_of(case):
    rng = np.random.default_rng(5)
    dtype = np.dtype(case.dtype)
    if dtype.kind == "f":
        return (rng.normal(size=case.shape) * 1e3).astype(dtype)
    if case.is_label or dtype.kind == "b":  # some of the same beside each other
        return rng.integers(0, 2 if dtype.kind == "b" else 4, case.shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, case.shape, dtype, endpoint=True)


def runs_of(plane):
    """Rows of a plane in runs of all sizes, the same ones each time."""
    rng, row = np.random.default_rng(11), 0
    while row < len(plane):
        some = int(rng.integers(0, 30))
        yield plane[row : row + some]
        row += some


@pytest.mark.parametrize("case", TABLE)
def test_the_store_is_that_of_the_way_by_planes(case, tmp_path):
    pixels, name = pixels_of(case), "image"
    kept = {"is_label": case.is_label, "name": name}
    with ZarrStream(
        properties_of(case, tmp_path / "planes.zarr"),
        axes=case.axes,
        shape=case.shape,
        dtype=case.dtype,
        **kept,
    ) as stream:
        stream.append(pixels)
    stream = by_rows(case, tmp_path / "rows.zarr")
    for plane in pixels.reshape(-1, *case.shape[-2:]):
        for rows in runs_of(plane):
            stream.append(rows)
    stream.close()
    planes, rows = contents(tmp_path / "planes.zarr"), contents(tmp_path / "rows.zarr")
    assert planes.keys() == rows.keys()
    assert {key for key in planes if planes[key] != rows[key]} == set()


PLAIN = ALL["planes along z"]


def test_memory_does_not_grow_with_the_height_of_a_plane():
    properties = properties_of(replace(PLAIN, tile=(512, 512)), "a.zarr")
    low, high = (
        plan(properties, axes="yx", shape=(height, 4096), dtype="u2")
        for height in (2**12, 2**15)
    )
    more = rows_memory(high).peak_bytes - rows_memory(low).peak_bytes
    assert more < 2 * 2**20  # three levels more, of one tile each
    assert high.peak_memory_bytes > 2 * low.peak_memory_bytes


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((2, 82), "u2"), "82"),
        (np.zeros((2, 83), "u1"), "uint8"),
        (np.zeros((1, 2, 83), "u2"), "(1, 2, 83)"),
        (np.zeros((62, 83), "u2"), "61 are left"),
    ],
    ids=["width", "type", "plane", "too many"],
)
def test_rows_that_do_not_fit_are_not_taken(rows, says, tmp_path):
    stream = by_rows(PLAIN, tmp_path / "a.zarr")
    with pytest.raises(FrameMismatch) as refused:
        stream.append(rows)
    assert says in str(refused.value)
    for plane in pixels_of(PLAIN):
        stream.append(plane)
    with pytest.raises(FrameMismatch, match="0 are left of plane 3 of 3"):
        stream.append(np.zeros((1, 83), "u2"))
    stream.close()
    stream.close()
    with pytest.raises(IllegalTransition):
        stream.append(np.zeros((1, 83), "u2"))


@pytest.mark.parametrize(
    ("case", "more"),
    [
        (PLAIN, {"tile_planes": 2}),
        (PLAIN, {"tile_planes": 2, "enable_multiscale": False}),
        (replace(PLAIN, more=SHARDED | {"frames_per_chunk": 4}, axes="tyx"), {}),
        (replace(PLAIN, shape=(None, 61, 83)), {}),
    ],
    ids=["z halved", "planes in a tile", "frames in a chunk", "no end"],
)
def test_what_needs_other_planes_is_refused(case, more, tmp_path):
    with pytest.raises(InvalidProperties, match="frames_per_chunk to 1"):
        by_rows(case, tmp_path / "a.zarr", **more)
    assert not list(tmp_path.iterdir())


def test_what_was_begun_and_not_ended_is_not_committed(tmp_path):
    stream = by_rows(replace(PLAIN, axes="tyx"), tmp_path / "a.zarr")
    first, second, _ = pixels_of(PLAIN)
    stream.append(first)
    stream.append(second[:40])
    stream.close()
    found = contents(tmp_path / "a.zarr")
    assert found["0/zarr.json"]["shape"] == [1, 61, 83]
    record = found["zarr.json"]["attributes"][RECORD_KEY]
    assert record["finish_reason"] == "stopped"


def test_a_failure_is_kept_and_heard(tmp_path):
    store = TestedStore(for_good=True, error=lambda key: WriteFailed(f"{key}: full"))
    stream = by_rows(PLAIN, tmp_path / "a.zarr", store(tmp_path / "a.zarr", False))
    store.fail_at = len(store.calls) + 3

    def write():
        for row in pixels_of(PLAIN).reshape(-1, 1, 83):
            stream.append(row)
        stream.close()

    with pytest.raises(WriteFailed, match="full"):
        write()
    with pytest.raises(WriteFailed, match="full"):
        stream.append(np.zeros((1, 83), "u2"))
    with pytest.raises(WriteFailed, match="full"):
        stream.abort()
    stream.abort()
