"""Death at a chosen moment: whatever a run writes, it can be killed before and after it."""

import os
from contextlib import contextmanager

import pytest


class Death(BaseException):
    """A process that is killed does nothing more; nobody may catch this."""


@contextmanager
def killed_at(moment):
    """Everything that reaches the disk counts; at ``moment`` the process is dead.

    Each flush and each renaming of a file has a moment before and one after it. A dead process
    neither writes nor cleans up. Yields a list whose length is the number of moments passed.
    """
    passed, alive = [], [True]

    def counted(real, name):
        def call(*words, **more):
            for when in ("before", "after"):
                if not alive[0] or len(passed) == moment:
                    alive[0] = False
                    raise Death(f"{when} {name} {words}")
                passed.append((when, name, words))
                if when == "before":
                    made = real(*words, **more)
            return made

        return call

    def unlink(*words, **more):
        if not alive[0]:
            raise Death("the dead do not clean up")
        return real_unlink(*words, **more)

    real_unlink = os.unlink
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", counted(lambda handle: None, "fsync"))
        patch.setattr(os, "replace", counted(os.replace, "replace"))
        patch.setattr(os, "unlink", unlink)
        yield passed
