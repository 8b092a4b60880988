"""The mail that the client tests send through Pier: samples/, and the e-mail test data of Debian's Python (mail that
nobody here wrote, and not kept here)."""
import re
from pathlib import Path

from pier_server import SAMPLES, Failed, canonical

PYTHON_MAIL = Path("/usr/lib/python3.11/test/test_email/data")


def corpus():
    """{name: message as it is on disk}, by name."""
    messages = {path.name: path.read_bytes() for path in sorted(SAMPLES.glob("*.eml"))}
    foreign = sorted(PYTHON_MAIL.glob("*.txt"))
    if not foreign:
        raise Failed(f"no mail in {PYTHON_MAIL}; run packaging/install-deps.sh test")
    for path in foreign:
        messages[f"python-{path.stem}.eml"] = path.read_bytes()
    return messages


def write_corpus(folder, messages):
    folder.mkdir()
    for name, octets in messages.items():
        (folder / name).write_bytes(octets)


def imported(message):
    """What `pier import eml` makes of a message: the canonical form, without the mbox line that some programs put in front."""
    return canonical(re.sub(rb"\AFrom [^\n]*\n", b"", message))
