"""How a command ends, as its exit code says it."""

FAILED, REFUSED, FRAMES_LOST, REPAIRABLE, INTERRUPTED = 1, 2, 3, 4, 130

EXIT_CODES = (
    "Exit codes: 0 all is well, 1 it failed, 2 cannot be done as asked, 3 frames were "
    "lost or planes are missing, 4 the store can be repaired, 130 interrupted before "
    "the end."
)
