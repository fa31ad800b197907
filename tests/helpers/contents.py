"""What a store holds, whatever the order in which workers came: to be compared."""

import json
import math

import blosc
import numpy as np
import zarr

from napari_zarr_stream._writer.codecs import EMPTY, parse_shard_index
from napari_zarr_stream._writer.record import RECORD_KEY

OF_THE_RUN = {"start_time", "end_time", "store_id"}
"""What two recordings of the same pixels do not have in common."""


def contents(path):
    """Documents and encoded chunks, by file, and by number within a shard.

    Chunks that are encoded in parts, one for each frame, are decoded.
    """
    arrays = {
        name: array
        for name, array in zarr.open_group(path, mode="r").members(max_depth=None)
        if isinstance(array, zarr.Array)
    }
    found = {}
    for file in path.rglob("*"):
        if not file.is_file():
            continue
        key = file.relative_to(path).as_posix()
        data = file.read_bytes()
        if file.name in ("zarr.json", ".zattrs", ".zarray", ".zgroup"):
            found[key] = _without_run(json.loads(data))
            continue
        [array] = [arrays[name] for name in arrays if key.startswith(f"{name}/")]
        if array.shards:
            room = math.prod(array.shards) // math.prod(array.chunks)
            index = parse_shard_index(data[-16 * room - 4 :], room)
            for number in np.flatnonzero(index[:, 0] != EMPTY).tolist():
                offset, size = index[number].tolist()
                found[key, number] = data[offset : offset + size]
        elif array.compressors and math.prod(array.chunks[:-2]) > 1:
            found[key] = blosc.decompress(data)
        else:
            found[key] = data
    return found


def _without_run(document):
    record = document.get("attributes", document).get(RECORD_KEY)
    if record is not None:
        assert record.keys() >= OF_THE_RUN
        for key in OF_THE_RUN:
            del record[key]
    return document
