"""One source into one stream, in a thread: states, counts, space on the disk."""
