"""What all tests share."""

from hypothesis import settings

# The machine may be busy: an example that takes long is no failure.
settings.register_profile("project", deadline=None, max_examples=60)
settings.load_profile("project")
