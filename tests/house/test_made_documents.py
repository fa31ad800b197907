"""What documents tell of the code is what the code says now."""

import house
import pytest


@pytest.mark.parametrize("document", house.MADE)
def test_made_parts_are_as_the_code_is(document):
    text = (house.ROOT / document).read_text(encoding="utf-8")
    stale = text != house.made_again(document)
    assert not stale, f"{document} tells of older code: run `make docs`"


def test_every_module_is_in_the_table_of_files():
    rows = house.table_of_files()
    for path in house.MODULES:
        name = house.name_of(path)
        shown = name if "/" not in name else path.name
        if path.name == "__init__.py" and "/" in name:
            shown = name.removesuffix("__init__.py")
        assert f"`{shown}`" in rows
