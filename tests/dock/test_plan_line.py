"""What the settings come to."""

import pytest


def test_the_plan_follows_every_setting(widget):
    def text_after(change, value):
        change.value = value
        return widget.plan_line.value

    settings = widget.camera_settings
    assert "6 tiles of 64 × 64 px" in widget.plan_line.value
    assert "3 levels: 160 × 120, 80 × 60, 40 × 30" in widget.plan_line.value
    assert "1 level: 160 × 120" in text_after(widget.multiscale, False)
    assert "12 tiles of 48" in text_after(widget.tile_width, 48).replace(
        "8 ", "8 "
    ) or ("8 tiles of 48 × 64" in widget.plan_line.value)
    assert "100 frames" in text_after(widget.frame_count, 100) or (
        "in all" in widget.plan_line.value
    )
    assert "320" in text_after(settings["width"], 320)
    assert "chunk cap raised" in text_after(widget.max_chunk_mib, 3)
    before = widget.plan_line.value
    assert text_after(widget.sharded, False) != before
    assert "disk space for" in widget.plan_line.value
    assert "recording_0001.zarr" in widget.plan_line.value


def test_an_impossible_setting_is_said_and_record_is_off(widget):
    settings = widget.camera_settings
    settings["width"].value = settings["height"].value = 8192
    widget.tile_width.value = widget.tile_height.value = 0
    widget.sharded.value = False
    widget.max_chunk_mib.value = 2**20
    assert "blosc" in widget.plan_line.value
    assert not widget.record.enabled
    widget.max_chunk_mib.value = 2000
    assert "of memory" in widget.plan_line.value
    widget.sharded.value = True
    widget.tile_width.value = widget.tile_height.value = 512
    assert "levels" in widget.plan_line.value
    assert widget.record.enabled


@pytest.mark.parametrize("place", ["a file", "a file/deeper/a.zarr", "a" * 300])
def test_a_place_that_cannot_be_written_is_said(widget, tmp_path, place):
    (tmp_path / "a file").write_text("mine")
    widget.uri.value = tmp_path / place
    assert not widget.record.enabled
    assert "Saves to" not in widget.plan_line.value
    widget.uri.value = tmp_path
    assert widget.record.enabled
