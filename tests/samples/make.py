"""Runs OpenStack's own code and writes what it notifies.

    make.py OUTPUT

OUTPUT is a directory, which this program creates. Run the program with the interpreter of a Python
environment that holds the packages of `requirements.txt`; `cargo xtask samples` makes one.

Each service runs in a process of its own, because OpenStack's configuration is global.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

# The programs, and the variants that they take as their second argument.
PROGRAMS = {
    "glance_events.py": [None, "pebble", "cri", "json"],
    "audit_events.py": [None],
    "nova_events.py": [None],
    "cinder_events.py": [None],
    "oslo_events.py": [None, "lenient"],
}


def environment(home):
    """Returns environment variables that do not depend on the user or the machine."""
    return {
        "HOME": home,
        "LC_ALL": "C.UTF-8",
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        # Sets have an order that depends on the hashes of strings.
        "PYTHONHASHSEED": "0",
        "PYTHONWARNINGS": "ignore",
        "TMPDIR": home,
        "TZ": "UTC",
    }


def main():
    (output,) = sys.argv[1:]
    output = pathlib.Path(output).absolute()
    output.mkdir(parents=True, exist_ok=True)
    here = pathlib.Path(__file__).parent
    with tempfile.TemporaryDirectory() as home:
        for program, variants in PROGRAMS.items():
            for variant in variants:
                arguments = [output] + ([variant] if variant else [])
                command = [sys.executable, here / program, *arguments]
                run(command, home)


def run(command, home):
    """Runs a program. Prints what it prints only if it fails."""
    done = subprocess.run(
        command,
        cwd=home,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{command[1].name} failed:\n{done.stdout}")


if __name__ == "__main__":
    main()
