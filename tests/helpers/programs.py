"""Python programs in processes of their own: what ends with them, or breaks them."""

import os
import subprocess
import sys
import textwrap

from waiting import PATIENCE_S


def start_python(script, *arguments, options=(), **environment):
    """A program under way, with pipes for what it prints; it imports as a test does."""
    command = [sys.executable, *options, "-c", textwrap.dedent(script)]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
    )


def run_python(script, *arguments, code=0, options=(), **environment):
    """A program that has ended, by the exit code that is expected."""
    with start_python(script, *arguments, options=options, **environment) as process:
        try:
            output, errors = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == code, errors
    return subprocess.CompletedProcess(process.args, code, output, errors)
