"""What the wheel says of itself beyond pyproject.toml: a hook that hatch runs.

A package index shows the README without its repository, so that relative links lead
nowhere. `REPOSITORY_URL` (a release knows it) makes them absolute, at the tag
of the version. Without it the words of the links stay and pictures are left out: better
none than broken ones.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")


def without_relative_links(text: str, version: str, repository: str) -> str:
    """The README as it can be shown anywhere."""

    def replaced(link: re.Match[str]) -> str:
        picture, words, path = link.groups()
        if not repository:
            return "" if picture else words
        kind = "raw" if picture else "blob"
        return f"{picture}[{words}]({repository}/{kind}/v{version}/{path})"

    return LINK.sub(replaced, text)


class Hook(MetadataHookInterface):
    """The README, and where the repository is if that is known."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in what pyproject.toml calls dynamic."""
        repository = os.environ.get("REPOSITORY_URL", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": without_relative_links(text, metadata["version"], repository),
        }
        if repository:
            metadata["urls"] = {"Repository": repository}
