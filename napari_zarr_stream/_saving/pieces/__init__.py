"""An export as independent pieces: done here or on a cluster, and gone on with."""
