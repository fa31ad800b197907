"""Stores that are the same, byte for byte, but for when and by which run."""

import re

OF_THE_RUN = re.compile(rb'"(start_time|end_time|store_id)": "[^"]*"')


def files_of(store):
    """Every file of a store by its path, without what two runs cannot have alike."""
    return {
        file.relative_to(store).as_posix(): (
            OF_THE_RUN.sub(b"", file.read_bytes())
            if file.name in ("zarr.json", ".zattrs")
            else file.read_bytes()
        )
        for file in store.rglob("*")
        if file.is_file()
    }


def same_files(one, other):
    """Raise AssertionError, naming files, unless two stores are the same."""
    ours, theirs = files_of(one), files_of(other)
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if ours[key] != theirs[key]] == []
