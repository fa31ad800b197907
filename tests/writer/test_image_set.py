"""Many images in one store: planes at any place, in any order, or never."""

import itertools
import math
import threading

import numpy as np
import pytest
import zarr
from judges import ask
from waiting import wait_until

from napari_zarr_stream import (
    Channel,
    DeviceKind,
    FrameMismatch,
    IllegalTransition,
    ImageDescription,
    ImageSet,
    InvalidProperties,
    Plate,
    StorageProperties,
    StoreExists,
    WriteFailed,
)
from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._writer import intake, system
from napari_zarr_stream._writer.record import FinishReason
from napari_zarr_stream._writer.slot_queue import SlotQueue
from napari_zarr_stream._writer.store import PartOfStore

T, C, Z, HEIGHT, WIDTH = 3, 2, 3, 48, 72
PLACES = list(itertools.product(range(2), range(T), range(C), range(Z)))
ORDERS = ["tpcz", "tpzc", "ptcz", "pzct", "cpzt"]
LAYOUTS = [
    *((kind, False) for kind in DeviceKind),
    *((kind, True) for kind in DeviceKind if kind.zarr_format == 3),
]


def layout_id(layout):
    return f"{layout[0]}-{'shards' if layout[1] else 'chunks'}"


def in_order(order):
    """All places, the last letter of `order` fastest."""
    at = [["p", "t", "c", "z"].index(axis) for axis in order]
    return sorted(PLACES, key=lambda place: [place[i] for i in at])


def plane_of(place, shape=(HEIGHT, WIDTH)):
    seed = [1000 + number for number in place]
    return np.random.default_rng(seed).integers(1, 2**16, shape, "uint16")


def properties(path, layout=(DeviceKind.ZARR_V3_LZ4, True), **changes):
    kind, sharded = layout
    given = {"tile_width": 32, "tile_height": 32, "sharded": sharded} | changes
    return StorageProperties(path, kind, **given)


def image(path, t=T, **changes):
    given = {
        "name": f"image {path}",
        "axes": "tczyx",
        "shape": (t, C, Z, HEIGHT, WIDTH),
        "dtype": "uint16",
        "scale": {"z": 1.0, "y": 0.5, "x": 0.5},
        "units": {"z": "um", "y": "um", "x": "um"},
        "channels": (Channel("DAPI", "0000ff"), Channel("FITC", "00ff00")),
    }
    return ImageDescription(path, **(given | changes))


POSITIONS = [image("0"), image("1")]
PLATE = Plate("plate", ("A", "B"), ("1", "2", "3"))
FIELDS = [image("A/1/0"), image("A/1/1"), image("B/3/0"), image("B/3/1")]


def pixels(root, path, level=0):
    return zarr.open_group(root, mode="r")[f"{path}/{level}"][:]


def log(root):
    group = zarr.open_group(root, mode="r")["frame_log"]
    return {name: array[:] for name, array in group.arrays()}


def halved(plane):
    blocks = plane.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).astype(np.uint32)
    return ((blocks.sum(axis=(1, 3)) + 2) // 4).astype(plane.dtype)


@pytest.mark.parametrize(
    ("layout", "order"),
    [*((LAYOUTS[5], order) for order in ORDERS), *((at, "pzct") for at in LAYOUTS)],
    ids=lambda value: value if isinstance(value, str) else layout_id(value),
)
def test_every_plane_is_at_its_place(tmp_path, layout, order):
    path = tmp_path / "a.zarr"
    with ImageSet(properties(path, layout), POSITIONS) as images:
        for p, *place in in_order(order):
            images.put(p, place, plane_of((p, *place)))
    for p in range(2):
        full, half = pixels(path, p), pixels(path, p, 1)
        assert full.shape == (T, C, Z, HEIGHT, WIDTH)
        for place in np.ndindex(T, C, Z):
            expected = plane_of((p, *place))
            np.testing.assert_array_equal(full[place], expected)
            np.testing.assert_array_equal(half[place], halved(expected))
    assert images.status().frames_committed == len(PLACES)


@pytest.mark.parametrize("layout", LAYOUTS[::4], ids=layout_id)
def test_planes_that_never_come_read_as_zeros_and_are_not_in_the_log(tmp_path, layout):
    path = tmp_path / "a.zarr"
    there = [place for number, place in enumerate(in_order("tpcz")) if number % 3]
    with ImageSet(properties(path, layout), POSITIONS) as images:
        for p, *place in there:
            images.put(p, place, plane_of((p, *place)), {"exposure_ms": 1.5})
    for place in PLACES:
        p, *rest = place
        expected = plane_of(place) if place in there else np.zeros((HEIGHT, WIDTH))
        np.testing.assert_array_equal(pixels(path, p)[tuple(rest)], expected)
    rows = log(path)
    logged = zip(rows["image"], rows["t"], rows["c"], rows["z"], strict=True)
    assert sorted(map(tuple, logged)) == sorted(there)
    assert set(rows["exposure_ms"]) == {1.5}


def test_a_stack_along_z_is_one_shard(tmp_path):
    path = tmp_path / "a.zarr"
    whole = properties(path, shard_chunks=(0, 0))
    with ImageSet(whole, POSITIONS) as images:
        for p, *place in in_order("tpcz"):
            images.put(p, place, plane_of((p, *place)))
            if tuple(place) == (0, 0, Z - 1):  # the stack is done
                images.flush()
                assert not images._images[p].dataset.levels[0]._files
    files = [file for file in (path / "0" / "0" / "c").rglob("*") if file.is_file()]
    assert len(files) == T * C


@pytest.mark.parametrize("patience_s", [0.0, math.inf])
def test_who_is_back_at_once_does_tasks_itself(tmp_path, monkeypatch, patience_s):
    """A microscope is not: its planes never wait for one to be encoded."""
    monkeypatch.setattr(intake, "HURRY_S", patience_s)
    here, helped = threading.get_ident(), []
    seal = SlotQueue.seal

    def watched(queue, work, *, may_help):
        if threading.get_ident() == here:  # and not a worker, which seals what is old
            helped.append(may_help)
        seal(queue, work, may_help=may_help)

    monkeypatch.setattr(SlotQueue, "seal", watched)
    with ImageSet(properties(tmp_path / "a.zarr"), POSITIONS) as images:
        for p, *place in in_order("zcpt"):  # each follows another that is not beside it
            images.put(p, place, plane_of((p, *place)))
        sealed = len(helped)
    # The first has not come back, and who ends it waits for all in any case.
    assert sealed
    assert set(helped[1:sealed]) <= {patience_s > 0}


def test_images_of_other_sizes_axes_and_types(tmp_path):
    path = tmp_path / "a.zarr"
    described = [
        image("0"),
        image("1", axes="tyx", shape=(None, 40, 40), scale=None, units=None,
              channels=None),
        image("2", axes="yx", shape=(64, 20), dtype="uint8", scale=None, units=None,
              channels=None),
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    small = rng.integers(0, 2**16, (5, 40, 40), "uint16")
    flat = rng.integers(0, 2**8, (64, 20), "uint8")
    with ImageSet(properties(path), described) as images:
        for t in range(5):
            images.put(1, (4 - t,), small[4 - t])
            images.put(0, (t % T, t // T, 0), plane_of((0, t % T, t // T, 0)))
        images.put(2, (), flat)
    np.testing.assert_array_equal(pixels(path, 1), small)
    np.testing.assert_array_equal(pixels(path, 2), flat)
    assert pixels(path, 0)[0, 0, 0].any()


def test_what_is_committed_can_be_read_while_more_comes(tmp_path):
    path = tmp_path / "a.zarr"
    images = ImageSet(properties(path), [image("0", t=None)])
    for number, (p, *place) in enumerate(in_order("cptz")):
        if p:
            continue
        images.put(0, place, plane_of((0, *place)))
        if number % 5 == 0:
            wait_until(
                lambda: (
                    images.status().frames_committed == images.status().frames_appended
                )
            )
            np.testing.assert_array_equal(
                pixels(path, 0)[tuple(place)], plane_of((0, *place))
            )
    images.close()


class LookedAt(PartOfStore):
    """A store that notes what is at the place of a folder while files come into it."""

    def __init__(self, store):
        super().__init__(store, "", lambda: None)
        self.root, self.seen = store, {}

    def write_folder(self, key, files, *, appears=False):
        def looked_at():
            for name, data in files:
                self.seen.setdefault(key, set()).add((self.root.root / key).exists())
                yield name, data

        super().write_folder(key, looked_at(), appears=appears)


@pytest.mark.parametrize("kind", [DeviceKind.ZARR, DeviceKind.ZARR_V3_LZ4])
def test_a_plane_in_chunks_appears_as_a_whole(tmp_path, kind):
    path = tmp_path / "a.zarr"
    looked_at = []

    def followed(store):
        looked_at.append(LookedAt(store))
        return looked_at[0]

    settings = properties(path, (kind, False))
    with ImageSet(settings, [image("0")], followed=followed) as images:
        images.put(0, (0, 1, 2), plane_of((0, 0, 1, 2)))
    [store] = looked_at
    assert len(store.seen) == len(images.plans[0].level_shapes)
    # Windows moves no folder where something is open: it is filled at its place.
    there_before = {False, True} if system.IS_WINDOWS else {False}
    assert set().union(*store.seen.values()) == there_before
    assert not list(path.rglob("*.partial"))


def test_all_fields_of_a_plate_grow_together(tmp_path):
    path = tmp_path / "p.zarr"
    images = ImageSet(properties(path), FIELDS, plate=PLATE)
    images.put(2, (1, 0, 0), plane_of((2, 1, 0, 0)))
    images.flush()
    assert {pixels(path, f.path).shape[0] for f in FIELDS} == {2}
    images.put(0, (2, 0, 0), plane_of((0, 2, 0, 0)))
    images.close()
    assert {pixels(path, f.path).shape[0] for f in FIELDS} == {3}


@pytest.mark.parametrize("layout", LAYOUTS[1::4], ids=layout_id)
def test_a_plate_is_one_mosaic(tmp_path, layout):
    path = tmp_path / "p.zarr"
    with ImageSet(properties(path, layout), FIELDS, plate=PLATE) as images:
        for number in range(len(FIELDS)):
            for place in np.ndindex(T, C, Z):
                images.put(number, place, plane_of((number, *place)))
    [(levels, meta, kind), _] = layers_of(path)
    assert (kind, meta["name"].endswith("DAPI")) == ("image", True)
    for field in range(2):  # beside each other, in the tile of the well
        at = slice(field * WIDTH, (field + 1) * WIDTH)
        np.testing.assert_array_equal(
            np.asarray(levels[0][1, 2, :HEIGHT, at]), plane_of((field, 1, 0, 2))
        )


@pytest.mark.parametrize("layout", LAYOUTS[2::4], ids=layout_id)
def test_one_image_alone_is_the_store(tmp_path, layout):
    path = tmp_path / "a.zarr"
    record = {"notes": "wild type"}
    with ImageSet(properties(path, layout), [image("", t=None)], record=record) as one:
        one.put(0, (1, 0, 2), plane_of((0, 1, 0, 2)), {"exposure_ms": 1.5})
        one.close(FinishReason.CANCELED, {"planes_missing": 17})
    with pytest.warns(UserWarning, match="11 of 12 planes were not acquired"):
        [(levels, meta, _), _] = layers_of(path)
    assert meta["name"].endswith("DAPI")
    np.testing.assert_array_equal(levels[0][1, 2], plane_of((0, 1, 0, 2)))
    assert not any(path.glob("OME"))
    facts = facts_of(path)
    assert facts["planes"] == {"acquired": 1, "not_acquired": 11}
    kept = facts["record"]
    for key, value in {
        "notes": "wild type", "finish_reason": "canceled", "planes_missing": 17,
        "frames_committed": 1, "device_kind": layout[0],
    }.items():  # fmt: skip
        assert kept[key] == value
    for judge in ("zarr", "yaozarrs", "ome_zarr_models", "ngff_zarr"):
        ask(judge, path)


REFUSED_PLANES = {
    "no such image": (2, (0, 0, 0), (HEIGHT, WIDTH), "no image 2"),
    "no such time": (0, (3, 0, 0), (HEIGHT, WIDTH), "no place"),
    "negative": (0, (0, -1, 0), (HEIGHT, WIDTH), "no place"),
    "too few numbers": (0, (0, 0), (HEIGHT, WIDTH), "no place"),
    "there already": (0, (1, 1, 1), (HEIGHT, WIDTH), "already"),
    "another size": (0, (0, 0, 0), (WIDTH, HEIGHT), "shape"),
}


@pytest.mark.parametrize("case", REFUSED_PLANES)
def test_a_plane_that_has_no_place_is_refused(tmp_path, case):
    number, place, shape, words = REFUSED_PLANES[case]
    path = tmp_path / "a.zarr"
    with ImageSet(properties(path), POSITIONS) as images:
        images.put(0, (1, 1, 1), plane_of((0, 1, 1, 1)))
        with pytest.raises(FrameMismatch, match=words):
            images.put(number, place, plane_of((9, 9), shape))
    assert images.status().frames_committed == 1
    np.testing.assert_array_equal(pixels(path, 0)[1, 1, 1], plane_of((0, 1, 1, 1)))


REFUSED_SETS = {
    "none": ([], None, "one image or more"),
    "twice": ([image("0"), image("0")], None, "same path"),
    "no number": ([image("a")], None, "paths of a series"),
    "no well": ([image("0")], PLATE, "no field"),
    "no row": ([image("C/1/0")], PLATE, "no field"),
    "too deep": ([image("A/1/0/0")], PLATE, "no field"),
    "no letters": ([image("A/1/fov_1")], PLATE, "no field"),
}


@pytest.mark.parametrize("case", REFUSED_SETS)
def test_a_set_that_cannot_be_is_refused_before_anything_is_made(tmp_path, case):
    described, plate, words = REFUSED_SETS[case]
    with pytest.raises(InvalidProperties, match=words):
        ImageSet(properties(tmp_path / "a.zarr"), described, plate=plate)
    with pytest.raises(InvalidProperties, match="letters and digits"):
        Plate("p", ("A", "A"), ("1",))
    assert list(tmp_path.iterdir()) == []


def test_other_names_of_what_is_known_are_refused(tmp_path):
    with ImageSet(properties(tmp_path / "a.zarr"), POSITIONS) as images:
        images.put(0, (0, 0, 0), plane_of((0,)), {"time_ns": 2**60 + 1})
        for known in ({}, {"time_ns": 0.5}, {"time_ns": 1, "x_um": 0.0}):
            with pytest.raises(FrameMismatch):
                images.put(0, (0, 0, 1), plane_of((0,)), known)
    assert log(tmp_path / "a.zarr")["time_ns"].tolist() == [2**60 + 1]


def test_the_end(tmp_path):
    path = tmp_path / "a.zarr"
    images = ImageSet(properties(path), POSITIONS, record={"sequence": {"a": 1}})
    with pytest.raises(StoreExists):
        ImageSet(properties(path), POSITIONS)
    images.put(1, (0, 1, 2), plane_of((1,)))
    images.close(record={"missing": 35})
    images.close()
    with pytest.raises(IllegalTransition):
        images.put(0, (0, 0, 0), plane_of((0,)))
    record = zarr.open_group(path, mode="r").attrs["napari_zarr_stream"]
    assert (record["sequence"], record["missing"]) == ({"a": 1}, 35)
    assert record["finish_reason"] == "completed"
    assert (record["frames_committed"], record["images"]) == (1, 2)
    assert 'SizeT="1"' in (path / "OME" / "METADATA.ome.xml").read_text()


AXES = {"tczyx": (None, C, Z), "czyx": (C, Z), "tyx": (None,), "zyx": (Z,), "yx": ()}


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("kind", [DeviceKind.ZARR, DeviceKind.ZARR_V3])
def test_an_image_of_which_nothing_came_has_a_black_step(tmp_path, kind, axes):
    """As in a run that is cancelled: others open no store in which one has none."""
    shape = (*AXES[axes], HEIGHT, WIDTH)
    given = {"axes": axes, "shape": shape, "scale": {}, "units": {}, "channels": None}
    path = tmp_path / "a.zarr"
    with ImageSet(
        properties(path, (kind, False)), [image(name, **given) for name in "01"]
    ) as images:
        images.put(0, (0,) * (len(axes) - 2), plane_of((1,)))
    assert not pixels(path, "1").any()
    for level in (0, 1):
        first, second = (zarr.open(path / n / str(level)).shape for n in "01")
        assert first == second
        assert 0 not in first
    with ImageSet(
        properties(tmp_path / "b.zarr", (kind, False)), [image(name) for name in "01"]
    ):
        pass
    assert zarr.open(tmp_path / "b.zarr" / "1" / "0").shape[0] == 0


def test_what_fails_is_kept_and_heard(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    images = ImageSet(properties(path), POSITIONS)
    images.put(0, (0, 0, 0), plane_of((0, 0, 0, 0)))
    images.flush()
    path.rename(tmp_path / "gone.zarr")

    def go_on():
        for place in np.ndindex(T, C, Z):
            if any(place):
                images.put(0, place, plane_of((0, *place)))
                images.flush()

    with pytest.raises(WriteFailed, match=r"a\.zarr"):
        go_on()
    (tmp_path / "gone.zarr").rename(path)
    with pytest.raises(WriteFailed):
        images.close()
    assert isinstance(images.status().error, WriteFailed)
    np.testing.assert_array_equal(pixels(path, 0)[0, 0, 0], plane_of((0, 0, 0, 0)))


@pytest.mark.parametrize("count", [48, pytest.param(384, marks=pytest.mark.long)])
def test_many_positions_take_few_threads_and_files(tmp_path, count):
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    threads = set(threading.enumerate())
    described = [
        image(str(number), axes="tyx", shape=(2, HEIGHT, WIDTH), scale=None, units=None,
              channels=None)
        for number in range(count)
    ]  # fmt: skip
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
    try:
        with ImageSet(properties(tmp_path / "a.zarr"), described) as images:
            for t, number in itertools.product(range(2), range(count)):
                images.put(number, (t,), plane_of((number, t)))
            assert len(set(threading.enumerate()) - threads) <= 10
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
    for number in (0, count // 3, count - 1):
        for t in range(2):
            expected = plane_of((number, t))
            np.testing.assert_array_equal(
                pixels(tmp_path / "a.zarr", number)[t], expected
            )


def test_a_disk_without_holes_takes_no_planes_in_shards(tmp_path, monkeypatch):
    """Nobody could read them before their shard is full."""
    monkeypatch.setattr(system, "has_holes", lambda folder: False)
    path = tmp_path / "a.zarr"
    with pytest.raises(InvalidProperties, match="no holes"):
        ImageSet(properties(path), POSITIONS)
    assert list(tmp_path.iterdir()) == []
    with ImageSet(properties(path, LAYOUTS[0]), POSITIONS) as images:
        images.put(0, (0, 0, 0), plane_of((0, 0, 0, 0)))
    assert pixels(path, 0)[0, 0, 0].any()
