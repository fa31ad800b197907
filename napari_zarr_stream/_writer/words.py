"""Sizes, durations and counts as people read them."""


def size_in_words(size: float) -> str:
    """Bytes as "512 kB", "8.4 MB", "1.2 TB" (powers of 1000, as disks are sold)."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB" if size < 999.5 else f"{size:,.0f} TB"


def rate_in_words(rate: float, noun: str) -> str:
    """How many a second, as "0.5 frames/s", "29.9 frames/s", "5,000 planes/s"."""
    return f"{rate:.3g} {noun}s/s" if rate < 99.5 else f"{rate:,.0f} {noun}s/s"


def duration_in_words(seconds: float) -> str:
    """Seconds as "42 s", "12 min", "3 h 20 min", "5 days"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 100:
        return f"{minutes:.0f} min"
    hours, rest = divmod(round(minutes), 60)
    if hours < 48:
        return f"{hours} h {rest} min"
    return f"{hours / 24:,.0f} days"


def interval_in_words(seconds: float) -> str:
    """Seconds as "0.5 s", "90 s", "2.5 min", "12 h": as exact as asked for."""
    for unit, length in (("s", 1), ("min", 60)):
        if seconds < 100 * length:
            return f"{seconds / length:.4g} {unit}"
    return f"{seconds / 3600:.4g} h"


def clock_in_words(seconds: float) -> str:
    """Seconds as a clock shows them: "0:07", "12:34", "1:02:03"."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def mebibytes_in_words(size: int) -> str:
    """Bytes as "64 MiB": as chunk caps are given."""
    mib = size / 2**20
    return f"{mib:,.0f} MiB" if mib > 99 else f"{mib:.3g} MiB"


def count_in_words(count: int, noun: str) -> str:
    """How many of something there are, as "1 frame", "3,000 frames"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
