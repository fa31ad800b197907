"""Numbers of frames: they wrap, they come late, they are missing."""

import pytest

from napari_zarr_stream.cameras.frame_numbers import GIGE_PERIOD, FrameNumbers


def delivered(numbers, given):
    """Deliver what is not late; return index and loss of each."""
    infos = [numbers.deliver(each) for each in given if not numbers.is_late(each)]
    assert [info.index for info in infos] == list(range(len(infos)))
    assert numbers.stats.delivered == len(infos)
    return [(info.device_index, info.lost_before) for info in infos]


@pytest.mark.parametrize(
    ("period", "given", "expected"),
    [
        pytest.param(None, [7, 8, 9], [(0, 0), (1, 0), (2, 0)], id="any first"),
        pytest.param(None, [0, 3, 4], [(0, 0), (3, 2), (4, 0)], id="gap"),
        pytest.param(None, [5, 7, 6, 8], [(0, 0), (2, 1), (3, 0)], id="late"),
        pytest.param(None, [5, 5, 6], [(0, 0), (1, 0)], id="twice"),
        pytest.param(
            GIGE_PERIOD,
            [65534, 65535, 1, 2],
            [(0, 0), (1, 0), (2, 0), (3, 0)],
            id="wrap",
        ),
        pytest.param(GIGE_PERIOD, [65533, 3], [(0, 0), (5, 4)], id="gap at the wrap"),
        pytest.param(
            GIGE_PERIOD, [65534, 1, 65535, 2], [(0, 0), (2, 1), (3, 0)], id="late wrap"
        ),
        pytest.param(GIGE_PERIOD, [40000, 10], [(0, 0), (25545, 25544)], id="long gap"),
        pytest.param(GIGE_PERIOD, [1, 40000], [(0, 0), (39999, 39998)], id="jump"),
        pytest.param(
            GIGE_PERIOD,
            [65535, 65536, 70000],
            [(0, 0), (1, 0), (4465, 4463)],
            id="wide",
        ),
        pytest.param(2**40, [2**40, 2**40 + 1], [(0, 0), (1, 0)], id="64 bits"),
    ],
)
def test_numbers(period, given, expected):
    numbers = FrameNumbers(period)
    assert delivered(numbers, given) == expected
    assert numbers.stats.lost == sum(lost for _, lost in expected)


def test_several_turns():
    numbers = FrameNumbers(GIGE_PERIOD)
    for index in range(3 * GIGE_PERIOD):
        info = numbers.deliver(index % GIGE_PERIOD + 1)
        assert (info.device_index, info.lost_before) == (index, 0)


def test_frames_that_cannot_be_used_are_counted_once():
    numbers = FrameNumbers()
    numbers.deliver(1)
    numbers.lose(2)
    assert numbers.stats.lost == 2  # at once
    assert numbers.deliver(5).lost_before == 3  # 2, 3 and 4
    assert numbers.stats.lost == 3


def test_frames_that_cannot_be_used_at_the_very_beginning():
    numbers = FrameNumbers()
    numbers.lose()
    assert numbers.deliver(2).lost_before == numbers.stats.lost == 1


def test_without_numbers_a_loss_is_unknown():
    numbers = FrameNumbers()
    assert delivered(numbers, [None, None]) == [(None, 0), (None, 0)]
    assert numbers.stats.lost is None
    numbers.lose()
    assert numbers.deliver(None).lost_before == 1  # this much is known


def test_numbers_that_begin_anew_make_a_loss_unknown():
    numbers = FrameNumbers()
    assert delivered(numbers, [5000, 1, 2]) == [(0, 0), (None, 0), (None, 0)]
    assert numbers.stats.lost is None


def test_incomplete_frames_are_counted():
    numbers = FrameNumbers()
    assert not numbers.deliver(0, 17, complete=False).complete
    assert numbers.deliver(1, 18).device_time_ns == 18
    assert numbers.stats.incomplete == 1
