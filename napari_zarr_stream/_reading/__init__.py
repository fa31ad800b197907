"""A store to layers and facts: bounded, forgiving, read only."""
