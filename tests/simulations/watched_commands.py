"""How ``fedknot`` is called by a benchmark that a test runs: with code that nobody can change."""

import sys

_FROZEN = "import simulations.identity as i; i._code = lambda: 'the same code'\n"
_MAIN = "from simulations.cli import main\n"


def python(code):
    return (sys.executable, "-P", "-c", code)


FEDKNOT = python(f"{_FROZEN}{_MAIN}main()")

FORGED = python(
    f"""{_FROZEN}{_MAIN}
import sys
from pathlib import Path
try:
    main()
finally:
    folder = Path(sys.argv[sys.argv.index("--out" if "--out" in sys.argv else "--resume") + 1])
    if folder.name != "undisturbed":
        path = folder / "summary.json"
        path.write_text(path.read_text().replace('"student": "', '"student": "0'))
"""
)
"""As :data:`FEDKNOT`, but it says another hash of the student in every run but the undisturbed."""
