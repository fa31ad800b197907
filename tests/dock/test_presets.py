"""Presets: they set the fields, follow them, and are as they were last time."""

import pytest
from docks import let_go
from windows import wait_until

from napari_zarr_stream import DeviceKind
from napari_zarr_stream._dock.presets import CUSTOM, PRESETS
from napari_zarr_stream._dock.storage_section import StorageSection
from napari_zarr_stream._widget import RecordWidget

BROWSE, SMALLEST, FIJI, ACQUIRE = (preset.name for preset in PRESETS)


@pytest.fixture
def section(qtbot):
    return StorageSection()


@pytest.mark.parametrize(
    ("name", "kind", "sharded"),
    [
        ("Browse while recording", DeviceKind.ZARR_V3_LZ4, True),
        ("Smallest files", DeviceKind.ZARR_V3_ZSTD, True),
        ("Fiji and older tools", DeviceKind.ZARR_LZ4, False),
    ],
)
def test_a_preset_sets_the_fields(section, name, kind, sharded):
    section.device_kind.value, section.sharded.value = "Zarr", False
    section.preset.value = name
    assert section.device_kind.value == kind
    assert section.sharded.value is sharded
    assert section.multiscale.value
    assert section.preset.value == name


@pytest.mark.parametrize("kind", DeviceKind)
def test_as_acquire_is_the_plain_chunking_of_every_device_kind(section, kind):
    section.device_kind.value = str(kind)
    section.preset.value = ACQUIRE
    assert section.preset.value == ACQUIRE
    assert section.device_kind.value == kind
    assert not section.sharded.value
    sizes = (section.tile_width, section.tile_height, section.tile_planes)
    # Its frames have one plane; of a volume, a chunk would be the whole of it.
    assert [size.value for size in sizes] == [0, 0, 1]
    assert section.max_chunk_mib.value == 16


OTHERS = {
    "device_kind": "ZarrV3",
    "tile_width": 100,
    "tile_height": 100,
    "tile_planes": 5,
    "max_chunk_mib": 64,
}


@pytest.mark.parametrize("name", [preset.name for preset in PRESETS])
def test_any_changed_setting_is_custom_and_back_it_is_the_preset(section, name):
    section.preset.value = name
    flags = ("sharded", "multiscale")
    flipped = {flag: not getattr(section, flag).value for flag in flags}
    for field, value in {**OTHERS, **flipped}.items():
        changed = getattr(section, field)
        before = changed.value
        changed.value = value
        assert section.preset.value == CUSTOM, field
        changed.value = before
        assert section.preset.value == name, field


def test_each_says_what_it_gives_and_costs(section):
    said = set()
    for name in section.preset.choices:
        section.preset.value = name
        said.add(section.preset.says.text())
    assert len(said) == len(PRESETS) + 1
    assert all(said)


KEPT = {
    "a preset": {"preset": SMALLEST},
    "a preset in a format": {"device_kind": "ZarrV3", "preset": ACQUIRE},
    "custom": {"preset": FIJI, "tile_width": 100},
}


def test_it_is_kept_between_sessions(viewer, let):
    let()
    widgets = [RecordWidget(viewer)]
    for case, settings in KEPT.items():
        widget = widgets[-1]
        for name, value in settings.items():
            getattr(widget, name).value = value
        kept = {name: getattr(widget, name).value for name in [*settings, "preset"]}
        widget._kept.keep()
        widgets.append(RecordWidget(viewer))
        again = {name: getattr(widgets[-1], name).value for name in kept}
        assert again == kept, case
    for widget in widgets:
        wait_until(lambda each=widget: not each.cameras.is_searching)
        let_go(widget)
