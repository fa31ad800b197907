"""Names of pixel formats, and how a frame of colour is turned."""

import numpy as np
import pytest

from napari_zarr_stream.cameras.pixel_format import PixelFormat


@pytest.mark.parametrize(
    ("name", "dtype", "bit_depth", "is_colour", "packed"),
    [
        ("Mono8", "u1", 8, False, False),
        ("Mono10", "u2", 10, False, False),
        ("Mono12p", "u2", 12, False, True),
        ("Mono12Packed", "u2", 12, False, True),
        ("Mono14", "u2", 14, False, False),
        ("Mono16", "u2", 16, False, False),
        ("BayerRG12p", "u2", 12, False, True),
        ("RGB8Packed", "u1", 8, True, False),
        ("RGBa8", "u1", 8, True, False),
        ("BGRA8Packed", "u1", 8, True, False),
        ("RGB16Packed", "u2", 16, True, False),
        ("BGR12p", "u2", 12, True, True),
    ],
)
def test_names(name, dtype, bit_depth, is_colour, packed):
    found = PixelFormat.of(name)
    assert (found.name, found.dtype, found.bit_depth) == (name, dtype, bit_depth)
    assert (found.is_colour, found.packed) == (is_colour, packed)
    assert found.is_mosaic == name.startswith("Bayer")
    assert found.shape(4, 6) == ((3, 4, 6) if is_colour else (4, 6))


@pytest.mark.parametrize("name", ["", "Mono1p", "YUV422_8", "Mono32", "RGB8_Planar"])
def test_what_is_not_recorded(name):
    assert PixelFormat.of(name) is None


@pytest.mark.parametrize(
    ("name", "order"), [("RGB8", "012"), ("BGR8", "210"), ("BGRa8", "210")]
)
def test_red_comes_first(name, order):
    alpha = "a" in name
    frame = np.arange(4 * 6 * (3 + alpha)).reshape(4, 6, 3 + alpha)
    planes = PixelFormat.of(name).planes(frame)
    assert planes.base is not None  # a view
    for plane, place in zip(planes, order, strict=True):
        np.testing.assert_array_equal(plane, frame[:, :, int(place)])


# Bits as the Pixel Format Naming Convention 2.1 (section 6.4, "p") and GigE Vision
# 2.0 ("Packed") lay them out, by hand: pixels 1, 2, 3, 4 and their bytes.
@pytest.mark.parametrize(
    ("name", "pixels", "sent"),
    [
        ("Mono10p", [0x3FF, 0, 0x155, 0x2AA], "ff035095aa"),
        ("Mono12p", [0x123, 0x456, 0xFFF, 0], "236145ff0f00"),
        ("Mono14p", [0x3FFF, 0, 1, 0x2000], "ff3f0010000080"),
        ("Mono12Packed", [0x123, 0x456], "126345"),
        ("Mono10Packed", [0x3FF, 0x001], "ff1300"),
    ],
)
def test_a_sample_has_the_bits_of_its_format(name, pixels, sent):
    found = PixelFormat.of(name)
    assert found.bytes_of(np.array(pixels, np.uint16)) == bytes.fromhex(sent)


@pytest.mark.parametrize("name", ["Mono8", "Mono10p", "Mono12Packed", "Mono14p"])
def test_a_sample_tells_wrong_bits_apart(name):
    sent, pixels = PixelFormat.of(name).sample()
    assert PixelFormat.of(name).bytes_of(pixels) == sent
    for bit in range(PixelFormat.of(name).bit_depth):
        assert set(pixels >> bit & 1) == {0, 1}
