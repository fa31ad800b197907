"""A sequence, and what Micro-Manager says of itself, as JSON values for the record."""

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import useq


def as_record(sequence: "useq.MDASequence") -> Any:
    """A sequence, as it can be made again from."""
    return _finite(sequence.model_dump(mode="json", exclude_unset=True, fallback=str))


def plain(value: Any) -> Any:
    """JSON values of anything; what is none becomes text."""
    return _finite(json.loads(json.dumps(value, default=str)))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such numbers
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
