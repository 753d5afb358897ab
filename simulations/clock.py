"""How long start-up and the encoding of public texts take, seen from outside."""

import time

from simulations.events import Progress


class Clock:
    """Passes progress on, and tells start-up from the encoding of public texts."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._begun = progress, time.monotonic()
        self._encode: list[float] = []
        self._ready: float | None = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase == "encode":
            self._encode.append(time.monotonic())
        self._progress(phase, done, total)

    def served(self, phase: str, done: int, total: int) -> None:
        """The same for the server's events: the first says that start-up is over."""
        if self._ready is None:
            self._ready = time.monotonic()
            self._progress("start", 2, 2)
        self._progress(phase, done, total)

    def seconds(self) -> dict[str, float]:
        """Seconds of ``start`` and of the encoding of public texts."""
        encode = self._encode[-1] - self._encode[0] if self._encode else 0.0
        ready = self._ready or time.monotonic()
        return {"start": ready - self._begun - encode, "encode": encode}
