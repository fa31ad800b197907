"""Arrays of others: read where a look at the document or the folder is enough."""

import gzip
import lzma
import shutil
import zlib

import numcodecs
import numpy as np
import pytest
import zarr
from odd_stores import (
    addressed,
    array_v2,
    array_v3,
    full_size,
    group_v3,
    image_v2,
    opened,
)
from tables import long_but

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._reading.zarr_array import ZarrArray
from napari_zarr_stream._writer.codecs import encode_shard_index

PIXELS = addressed((4, 40, 50))
CHUNKS = (1, 20, 50)
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}

# id: what .zarray says, in place of what it should
V2 = {
    # acquire-project/acquire-python 0.3.0, zarr-developers/zarr-python 2834
    "u2": {"dtype": "u2"},
    "|u2": {"dtype": "|u2"},
    "=u2": {"dtype": "=u2"},
    "uint16": {"dtype": "uint16"},
    "UInt16": {"dtype": "UInt16 "},
    "no-order": {"order": ...},
    "odd-order": {"order": "K"},
    "order-in-small-letters": {"order": "c"},
    "floats-for-sizes": {"shape": [4.0, 40.0, 50.0]},
    "no-filters": {"filters": ...},
    "empty-filters": {"filters": []},
    "no-compressor": {"compressor": ...},
    "no-fill-value": {"fill_value": ...},
    "null-fill-value": {"fill_value": None},
    "fill-value-nan": {"fill_value": "NaN"},
    "fill-value-of-words": {"fill_value": "0"},
    "fill-value-out-of-range": {"fill_value": -1},
    "fill-value-float": {"fill_value": 0.0},
    "more-keys": {"node_type": "array", "writer": "me"},
    "no-separator": {"dimension_separator": ...},
    "wrong-separator": {"dimension_separator": "."},
    "odd-separator": {"dimension_separator": "-"},
    "null-separator": {"dimension_separator": None},
}

# the same of zarr.json
V3 = {
    "u2": {"data_type": "u2"},
    "<u2": {"data_type": "<u2"},
    "an-object": {"data_type": {"name": "uint16"}},
    "floats-for-sizes": {"shape": [4.0, 40.0, 50.0]},
    "no-attributes": {"attributes": None},
    "odd-attributes": {"attributes": [1]},
    "more-keys": {"writer": {"name": "me"}},
    "transformers": {"storage_transformers": []},
    "odd-names": {"dimension_names": ["y", "x"]},
    "names-of-numbers": {"dimension_names": [1, 2, 3]},
    "no-fill-value": {"fill_value": ...},
    "null-fill-value": {"fill_value": None},
    "codec-by-name": {"codecs": ["bytes"]},
    "no-endian": {"codecs": [{"name": "bytes"}]},
    "endian-of-old": {"codecs": [{"name": "endian"}]},
    "more-keys-of-a-codec": {
        "codecs": [{"name": "bytes", "configuration": {"endian": "little", "a": 1}}]
    },
    "no-codecs": {"codecs": []},
    "no-encoding": {"chunk_key_encoding": ...},
    "encoding-by-name": {"chunk_key_encoding": "default"},
    "wrong-separator": {
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}}
    },
    "wrong-encoding": {
        "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "/"}}
    },
}


@pytest.mark.parametrize("document", V2.values(), ids=V2)
def test_v2_documents_that_zarr_does_not_take(path, document):
    array_v2(path, PIXELS, CHUNKS, **document)
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert "uint16" in text_of(facts_of(path))


@pytest.mark.parametrize("document", V3.values(), ids=V3)
def test_v3_documents_that_zarr_does_not_take(path, document):
    array_v3(path, PIXELS, CHUNKS, **document)
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)


# id: type, what is said of it, what it is
FILLS = {
    "nan": ("<f4", "NaN", np.nan),
    "nan-in-small-letters": ("<f4", "nan", np.nan),
    "infinity": ("<f8", "Infinity", np.inf),
    "minus-infinity": ("<f2", "-Infinity", -np.inf),
    "inf": ("<f4", "-inf", -np.inf),
    "nan-by-its-bits": ("<f4", "0x7fc00000", np.nan),
    "infinity-by-its-bits": ("<f8", "0x7ff0000000000000", np.inf),
    "half-by-its-bits": ("<f2", "0x3800", 0.5),
    "a-whole-float": ("<u2", 7.0, 7),
    "largest-of-64-bits": ("<u8", 2**64 - 1, 2**64 - 1),
    "least-of-64-bits": ("<i8", -(2**63) + 1, -(2**63) + 1),
    "large-in-words": ("<u8", str(2**63 + 1), 2**63 + 1),
    "whole-by-its-bits": ("<u2", "0xff01", 0xFF01),
    "negative": ("|i1", -3, -3),
    "true": ("|b1", True, True),
    "true-in-words": ("|b1", "true", True),
    "words": ("<u2", "none", 0),
}


@pytest.mark.parametrize("case", FILLS)
@pytest.mark.parametrize("form", ["v2", "v3"])
@pytest.mark.parametrize("how", long_but(["usual", "mended"], "mended"))
def test_what_is_not_stored_has_the_value_that_is_said(path, form, how, case):
    dtype, said, value = FILLS[case]
    pixels = np.full((4, 40, 50), value, dtype)
    shape = [4.0, 40.0, 50.0] if how == "mended" else [4, 40, 50]
    write = array_v2 if form == "v2" else array_v3
    write(path, pixels, CHUNKS, fill_value=said, shape=shape)
    for name in ("0", "c/0"):
        shutil.rmtree(path / name, ignore_errors=True)
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), pixels)


# id: how chunks are encoded, what the document says of it
V2_CODECS = {
    # zarr-developers/numcodecs 344, zarr-python 2964: keys of other versions
    "blosc": (
        numcodecs.Blosc().encode,
        {"id": "blosc", "cname": "lz4", "clevel": 5, "typesize": 2, "nthreads": 4},
    ),
    "blosc-in-words": (numcodecs.Blosc().encode, {"id": "blosc", "shuffle": "shuffle"}),
    "blosc-by-name": (numcodecs.Blosc().encode, "blosc"),
    "zstd": (numcodecs.Zstd().encode, {"id": "zstd", "level": 1, "threads": 4}),
    "zlib": (zlib.compress, {"id": "zlib", "level": "1"}),
    "gzip": (gzip.compress, {"id": "gzip", "level": 1, "mtime": 0}),
    "in-other-letters": (numcodecs.Blosc().encode, {"id": "Blosc", "cname": "LZ4"}),
    # not among those that need no settings
    "lzma": (lzma.compress, {"id": "lzma", "preset": 1, "threads": 4}),
}
V2_FILTERS = {
    "delta": {"id": "delta", "dtype": "<u2", "astype": "<u2"},
    "delta-with-more-keys": {"id": "delta", "dtype": "<u2", "version": 2},
}
V3_CODECS = {
    "blosc": (
        numcodecs.Blosc().encode,
        {"name": "blosc", "configuration": {"cname": "lz4", "shuffle": 1, "a": 1}},
    ),
    "blosc-of-nothing": (numcodecs.Blosc().encode, {"name": "blosc"}),
    "zstd": (numcodecs.Zstd().encode, {"name": "zstd", "configuration": {"level": 3}}),
    "zstd-by-name": (numcodecs.Zstd().encode, "zstd"),
    "gzip": (gzip.compress, {"name": "gzip", "configuration": {"level": 1, "b": 2}}),
    # zarr-developers/zarr-extensions: names with and without "numcodecs."
    "numcodecs-by-bare-name": (zlib.compress, {"name": "zlib", "configuration": {}}),
}
TRANSPOSED = {
    "as-numbers": {"order": [2, 1, 0]},
    "as-a-letter": {"order": "F"},  # zarr-specs 226: before it was final
    "with-more-keys": {"order": [2, 1, 0], "a": 1},
}


@pytest.mark.parametrize(("encode", "codec"), V2_CODECS.values(), ids=V2_CODECS)
def test_v2_codecs_with_keys_of_others(path, encode, codec):
    array_v2(path, PIXELS, CHUNKS, encode=encode, compressor=codec)
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)


@pytest.mark.parametrize("said", V2_FILTERS.values(), ids=V2_FILTERS)
def test_v2_filters_with_keys_of_others(path, said):
    encode = numcodecs.Delta("<u2").encode
    array_v2(
        path,
        PIXELS,
        CHUNKS,
        encode=lambda block: encode(np.frombuffer(block, "<u2")).tobytes(),
        filters=[said],
    )
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)


@pytest.mark.parametrize("order", ["F", "f"])
def test_v2_chunks_in_the_order_of_fortran(path, order):
    array_v2(
        path,
        PIXELS,
        CHUNKS,
        encode=lambda block: np.frombuffer(block, "<u2").reshape(CHUNKS).tobytes("F"),
        order=order,
    )
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)


@pytest.mark.parametrize("said", TRANSPOSED.values(), ids=TRANSPOSED)
def test_v3_chunks_that_are_transposed(path, said):
    array_v3(
        path,
        PIXELS,
        CHUNKS,
        encode=lambda block: np.frombuffer(block, "<u2").reshape(CHUNKS).tobytes("F"),
        codecs=[{"name": "transpose", "configuration": said}, BYTES],
    )
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.parametrize(("encode", "codec"), V3_CODECS.values(), ids=V3_CODECS)
def test_v3_codecs_with_keys_of_others(path, encode, codec):
    array_v3(path, PIXELS, CHUNKS, encode=encode, codecs=[BYTES, codec])
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)


# ome/bioformats 4086, cgohlke/imagecodecs 70, AllenNeuralDynamics/aind-data-transfer
MISSING = {
    "imagecodecs_jpeg2k": "imagecodecs-numcodecs",
    "imagecodecs_jpegxl": "imagecodecs-numcodecs",
    "zfpy": r"numcodecs\[zfpy\]",
    "pcodec": r"numcodecs\[pcodec\]",
    "wavpack": "wavpack-numcodecs",
    "flac": "flac-numcodecs",
    "my-own": "the program that wrote it",
}


@pytest.mark.parametrize(("name", "package"), MISSING.items(), ids=MISSING)
@pytest.mark.parametrize("form", ["v2", "v2-filter", "v3", "v3-numcodecs"])
def test_a_codec_that_is_not_installed_is_named(path, form, name, package):
    if form == "v2":
        array_v2(path, PIXELS, compressor={"id": name})
    elif form == "v2-filter":
        array_v2(path, PIXELS, filters=[{"id": name}])
    else:
        name = f"numcodecs.{name}" if "numcodecs" in form else name
        array_v3(
            path, PIXELS, codecs=[BYTES, {"name": name, "configuration": {"a": 1}}]
        )
    said = rf"codec '{name}' is not installed.*{package}"
    for call in (layers_of, facts_of):
        with pytest.raises(InvalidStore, match=said):
            call(path)


# id: how chunks are named, and how the document says that they are
# ome/napari-ome-zarr 91, zarr-developers/zarr-python 769, fsspec/kerchunk 134
V2_NAMES = {
    "nested": ("/", "."),
    "nested-not-said": ("/", ...),
    "flat": (".", "/"),
    "as-said": (".", "."),
}
V3_NAMES = {
    "flat": (("c", "."), "default", "/"),
    "nested": (("c", "/"), "default", "."),
    "of-v2": (("", "/"), "default", "/"),
    "of-v2-flat": (("", "."), "default", "/"),
    "of-v3": (("c", "/"), "v2", "."),
}


@pytest.mark.parametrize(("between", "said"), V2_NAMES.values(), ids=V2_NAMES)
def test_v2_chunks_are_found_where_they_are(path, between, said):
    for chunks in (CHUNKS, PIXELS.shape):
        array = path / str(chunks[0])
        array_v2(array, PIXELS, chunks, between, dimension_separator=said)
        (layer,), words = opened(array)
        np.testing.assert_array_equal(full_size(layer), PIXELS)
        assert ("not named as its metadata say" in words) == (between != said)


@pytest.mark.parametrize(("names", "name", "said"), V3_NAMES.values(), ids=V3_NAMES)
def test_v3_chunks_are_found_where_they_are(path, names, name, said):
    encoding = {"name": name, "configuration": {"separator": said}}
    array_v3(path, PIXELS, CHUNKS, names, chunk_key_encoding=encoding)
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert "not named as its metadata say" in words


def test_chunks_of_two_names_are_both_found(path):
    array_v2(path, PIXELS, CHUNKS, "/", dimension_separator=".")
    (path / "0" / "0" / "0").rename(path / "0.0.0")
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)


@pytest.mark.parametrize("form", ["v2", "v3"])
def test_an_array_without_chunks_is_said(path, form):
    empty = np.zeros((0, 40, 50), "u2")
    write = array_v2 if form == "v2" else array_v3
    write(path, empty, shape=[4, 40, 50])
    (layer,), words = opened(path)
    assert not full_size(layer).any()
    assert "has no chunks" in words


@pytest.mark.parametrize(
    "dtype", ["<u2", ">u2", ">i4", ">f4", "<f8", "|u1", "|i1", "|b1"]
)
def test_pixels_come_as_this_computer_has_them(path, dtype):
    pixels = (addressed((3, 40, 50)) % 100).astype(dtype)
    image_v2(path, "zyx", [pixels])
    (layer,), _ = opened(path)
    assert layer[0].dtype.isnative
    np.testing.assert_array_equal(full_size(layer), pixels)


def test_attributes_of_a_level_do_not_hide_it(path):
    image_v2(path, "zyx", [PIXELS])
    (path / "0" / ".zattrs").write_text("{ no json")
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)


def test_an_empty_zarr_json_in_a_level_does_not_hide_it(path):
    image_v2(path, "zyx", [PIXELS])
    group_v3(path / "0")
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert "says nothing: read as Zarr v2" in words


@pytest.mark.parametrize("dtype", ["|S5", "<M8[ns]", "<c16", "|O", [["a", "<u2"]]])
def test_what_holds_no_pixels_is_said(path, dtype):
    array_v2(path, PIXELS, dtype=dtype)
    for call in (layers_of, facts_of):
        with pytest.raises(InvalidStore, match="which are no pixels"):
            call(path)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "string"])
def test_what_holds_no_pixels_is_said_of_v3(path, dtype):
    array_v3(path, PIXELS, data_type=dtype)
    with pytest.raises(InvalidStore):
        layers_of(path)


def test_damaged_pixels_are_said_with_their_array(path):
    array_v2(path, PIXELS, CHUNKS, compressor={"id": "zlib", "level": 1})
    layers, words = opened(path)
    assert "no contrast limits from some pixels" in words
    with pytest.raises(InvalidStore, match="pixels that cannot be read"):
        full_size(layers[0])


# id: where a chunk of a shard lies, in its index, and what is said
PLACES = {
    "ends-behind-the-file": ((0, 2**40), "says that a chunk ends at"),
    "begins-behind-the-file": ((2**40, 8), "says that a chunk ends at"),
    "longer-than-it-is": ((0, 100), "cannot be read|ends at"),
}


@pytest.mark.parametrize(("place", "said"), PLACES.values(), ids=PLACES)
def test_a_shard_that_lies_about_where_its_chunks_are(path, place, said):
    array = zarr.create_array(
        path, shape=(2, 40, 50), shards=(2, 40, 50), chunks=(1, 40, 50), dtype="u2"
    )
    array[:] = 7
    shard = path / "c" / "0" / "0" / "0"
    data = shard.read_bytes()
    index = np.frombuffer(data[-36:-4], "<u8").reshape(2, 2).copy()
    index[0] = place
    shard.write_bytes(data[:-36] + encode_shard_index(index))
    opened = ZarrArray(path)
    with pytest.raises(InvalidStore, match=said):
        opened[0, :40, :50]
    assert (opened[1, :40, :50] == 7).all()


def test_chunks_of_a_shard_that_has_another_name(path):
    array = zarr.create_array(
        path, shape=(2, 40, 50), shards=(2, 40, 50), chunks=(1, 40, 50), dtype="u2"
    )
    array[:] = 7
    (path / "c" / "0" / "0" / "0").rename(path / "c.0.0.0")
    shutil.rmtree(path / "c")
    assert (ZarrArray(path)[0, :40, :50] == 7).all()
