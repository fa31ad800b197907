"""What documents tell of the code is so: what is made from it, and what they name."""

import re

import house
import pytest

PAGES = [*house.ROOT.glob("*.md"), *house.ROOT.glob("docs/**/*.md")]

CODE = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("napari_zarr_stream", "tests", "tools")
    for path in (house.ROOT / folder).rglob("*.py")
)

SPOKEN_OF = {"tests/cameras/test_NAME.py", "acme_cameras.py", "plate.yaml"}
"""Paths that are examples."""


def page_id(path):
    return path.relative_to(house.ROOT).as_posix()


def without_blocks(page):
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


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


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_path_that_is_named_is_there(page):
    """As it stands, or as a module of the package or of its writer."""
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:[\w.-]+/)*[\w-]+\.(?:py|md|png|yaml|sh)\b", text))
    named |= set(re.findall(r"`((?:tests|docs|tools|_[a-z]+|cameras)/[\w/]*)`", text))
    roots = [house.ROOT, house.PACKAGE, house.PACKAGE / "_writer", page.parent]
    modules = {path.name for path in house.MODULES}
    missing = {
        name
        for name in named - SPOKEN_OF
        if not any((root / name).exists() for root in roots) and name not in modules
    }
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", without_blocks(page))
    for target, anchor in links:
        path = (page.parent / target) if target else page
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            anchors = {
                re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles
            }
            assert anchor[1:] in anchors


def test_every_name_in_the_contributors_page_is_in_the_code():
    page = house.ROOT / "CONTRIBUTING.md"
    quoted = re.findall(r"`([A-Za-z_]\w*(?:\.[a-z_]\w*)?)`", without_blocks(page))
    words = set(re.findall(r"\w+", CODE))
    for name in quoted:
        assert set(name.split(".")) <= words or name.endswith((".py", ".toml")), name


def test_every_module_that_code_names_is_there():
    names = {path.name for path in house.MODULES}
    gone = {
        f"{house.name_of(path)}: {name}"
        for path in house.MODULES
        for name in re.findall(r"`[\w/]*?(\w+\.py)`", path.read_text("utf-8"))
        if name not in names
    }
    assert not gone
