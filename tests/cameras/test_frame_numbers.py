"""Numbers of frames: they wrap, they come late, they are missing."""

import pytest

from napari_zarr_stream.cameras.frame_numbers import GIGE_PERIOD, FrameNumbers


def delivered(numbers, given):
    """Deliver all; return index and loss of each."""
    infos = [numbers.deliver(each) for each in given]
    assert [info.index for info in infos] == list(range(len(given)))
    assert numbers.stats.delivered == len(given)  # nothing that came is thrown away
    return [(info.device_index, info.lost_before) for info in infos]


def case(id_, period, given, expected, lost):
    return pytest.param(period, given, expected, lost, id=id_)


# Block ids: GigE Vision 2.0 (16 bits: 1 follows 65535; 64 bits: no wrap), USB3 Vision
# 1.0 (64 bits from 0), GenTL 1.6 BUFFER_INFO_FRAMEID ("sequentially incremented").
NUMBERS = [
    case("any first", None, [7, 8, 9], [(0, 0), (1, 0), (2, 0)], 0),
    case("gap", None, [0, 3, 4], [(0, 0), (3, 2), (4, 0)], 2),
    case("late", None, [5, 7, 6, 8], [(0, 0), (2, 1), (1, 0), (3, 0)], 0),
    case(
        "two late", None, [0, 3, 1, 2, 4], [(0, 0), (3, 2), (1, 0), (2, 0), (4, 0)], 0
    ),
    case("one of two late", None, [0, 3, 1, 4], [(0, 0), (3, 2), (1, 0), (4, 0)], 1),
    case("twice", None, [5, 5, 6], [(0, 0), (0, 0), (1, 0)], None),
    case("each twice", None, [1, 1, 2, 2], [(0, 0), (0, 0), (1, 0), (1, 0)], None),
    case(
        "backwards by one", None, [4, 5, 4, 6], [(0, 0), (1, 0), (0, 0), (2, 0)], None
    ),
    case("before the first", None, [5, 4, 6], [(0, 0), (None, 0), (1, 0)], None),
    case("constant 0", None, [0] * 4, [(0, 0)] * 4, None),
    case("constant 7", GIGE_PERIOD, [7] * 4, [(0, 0)] * 4, None),
    case("downwards", None, [9, 8, 7], [(0, 0), (None, 0), (None, 0)], None),
    case(
        "anew from 0", None, [2, 3, 0, 1], [(0, 0), (1, 0), (None, 0), (None, 0)], None
    ),
    case(
        "anew from 1",
        None,
        [1, 2, 3, 1, 2],
        [*enumerate([0] * 3), (0, 0), (1, 0)],
        None,
    ),
    case("anew, far", None, [5000, 1, 2], [(0, 0), (0, 0), (1, 0)], None),
    case("anew, far, GigE", GIGE_PERIOD, [5000, 1, 2], [(0, 0), (0, 0), (1, 0)], None),
    case("garbage", None, [1, 2**63, 2**63 + 1], [(0, 0), (0, 0), (1, 0)], None),
    case("by 2", None, [0, 2, 4, 6], [(0, 0), (2, 1), (4, 1), (6, 1)], None),
    case("by 2, once by 1", None, [0, 1, 3, 5], [(0, 0), (1, 0), (3, 1), (5, 1)], 2),
    case("number missing", None, [0, None, 2], [(0, 0), (None, 0), (2, 1)], None),
    case("wrap", GIGE_PERIOD, [65534, 65535, 1, 2], [*enumerate([0] * 4)], 0),
    case("wrap with 0", GIGE_PERIOD, [65534, 65535, 0, 1], [*enumerate([0] * 4)], 0),
    case("gap at the wrap", GIGE_PERIOD, [65533, 3], [(0, 0), (5, 4)], 4),
    case("late wrap", GIGE_PERIOD, [65534, 1, 65535], [(0, 0), (2, 1), (1, 0)], 0),
    case("long gap", GIGE_PERIOD, [40000, 10], [(0, 0), (25545, 25544)], 25544),
    case("jump", GIGE_PERIOD, [1, 40000], [(0, 0), (39999, 39998)], 39998),
    case(
        "wide", GIGE_PERIOD, [65535, 65536, 70000], [(0, 0), (1, 0), (4465, 4463)], 4463
    ),
    case("64 bits", 2**40, [2**40, 2**40 + 1], [(0, 0), (1, 0)], 0),
    *(
        case(f"{bits} bits to 0", None, [2**bits - 1, 0, 1], [*enumerate([0] * 3)], 0)
        for bits in (16, 32, 64)
    ),
    *(
        case(
            f"{bits} bits, gap", None, [2**bits - 2, 0, 1], [(0, 0), (2, 1), (3, 0)], 1
        )
        for bits in (16, 32, 64)
    ),
    # 0 was skipped, or lost
    case("16 bits to 1", None, [65534, 65535, 1], [(0, 0), (1, 0), (3, 1)], None),
    case("wide wrap", GIGE_PERIOD, [2**32 - 1, 0, 1], [*enumerate([0] * 3)], 0),
]


@pytest.mark.parametrize(("period", "given", "expected", "lost"), NUMBERS)
def test_numbers(period, given, expected, lost):
    numbers = FrameNumbers(period)
    assert delivered(numbers, given) == expected
    assert numbers.stats.lost == lost


@pytest.mark.parametrize("period", [None, GIGE_PERIOD])
@pytest.mark.parametrize("first", [0, 1])
def test_a_counter_that_begins_anew_at_900(period, first):
    numbers = FrameNumbers(period)
    turn = list(range(first, 900 + first))
    infos = delivered(numbers, turn + turn)
    assert numbers.stats.lost is None
    assert [index for index, _ in infos] == [*range(900), *range(900)]


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


def test_incomplete_frames_are_counted():
    numbers = FrameNumbers()
    assert not numbers.deliver(0, 17, complete=False).complete
    assert numbers.deliver(1, 18).device_time_ns == 18
    assert numbers.stats.incomplete == 1
