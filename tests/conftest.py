"""What all tests share."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("camera_contract")

# The machine may be busy: an example that takes long is no failure.
settings.register_profile("project", deadline=None, max_examples=60)
settings.load_profile("project")


@pytest.fixture(autouse=True)
def settings_of_nobody(monkeypatch, tmp_path_factory):
    """Keep what widgets remember away from the user, and from other tests."""
    folder = tmp_path_factory.mktemp("napari")
    monkeypatch.setenv("NAPARI_CONFIG", str(folder / "settings.yaml"))
