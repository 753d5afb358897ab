"""What each client is given that nobody else has, and every form in which it may turn up."""

import base64
import json
import re
import secrets
import struct
from dataclasses import dataclass, field

import numpy as np

from clients.faults import CANARY


@dataclass(frozen=True)
class Needle:
    """One form of one secret.

    Attributes:
        client: whose it is.
        what: "text", "row", "weight", "path" or "label".
        form: how it is spelt, e.g. "utf-16-le".
        data: the bytes to look for.
    """

    client: int
    what: str
    form: str
    data: bytes


@dataclass(frozen=True)
class Canaries:
    """The secrets of K clients; those of one kind begin alike, so that one search finds all.

    Attributes:
        clients: K.
        run: makes them unlike anything else on this machine, earlier runs' memory included.
    """

    clients: int
    run: str = field(default_factory=lambda: f"{secrets.randbits(40):013d}")

    def token(self, client: int) -> str:
        """A rare word and number; the accent makes its encodings differ."""
        return f"{CANARY}-\u00e9{self.run}-{client:03d}-end"

    def texts(self, client: int) -> list[str]:
        """Private texts that hold it, in awkward company."""
        token = self.token(client)
        return [token, f'she said "{token}" \\ twice', f"x\n{token}\u2028y", f"\U0001f600 {token}"]

    def path(self) -> str:
        """A component of the path of all stores."""
        return f"{CANARY}-path-{self.run}"

    def home(self, client: int) -> str:
        """The name of the folder of one store."""
        return f"{CANARY}-home-{self.run}-{client:03d}-end"

    def label(self, client: int) -> str:
        """The name of a label; in our own stores labels are numbers, and this one stands beside."""
        return f"{CANARY}-l\u00e4bel-{self.run}-{client:03d}-end"

    def examples(self, client: int) -> int:
        """A number of private texts that no other client has."""
        return 10_007 + 30 * client

    def weight(self, client: int) -> bytes:
        """A 64-bit pattern: two small float32, little-endian, the second one the client's own."""
        bits = int(self.run) % 2**21
        return struct.pack("<II", 0x3C000000 | bits, 0x3C000000 | bits ^ (0x155555 + 8191 * client))

    def needles(self) -> list[Needle]:
        """All secrets of all clients in all forms, but for the numbers of examples."""
        made = [Needle(-1, "path", f, data) for f, data in text_forms(self.path())]
        for client in range(self.clients):
            texts = {
                "text": self.token(client),
                "path": self.home(client),
                "label": self.label(client),
            }
            made += [Needle(client, w, f, data) for w in texts for f, data in text_forms(texts[w])]
            made += [
                Needle(client, "weight", f, data) for f, data in weight_forms(self.weight(client))
            ]
        return made


def text_forms(text: str) -> list[tuple[str, bytes]]:
    """A text as it may stand in a file or in memory."""
    raw = text.encode()
    made = [(name, text.encode(name)) for name in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")]
    if max(map(ord, text)) < 256:
        made.append(("latin-1", text.encode("latin-1")))  # Python's own form in memory
    made.append(("json", json.dumps(text)[1:-1].encode()))
    made.append(("repr of bytes", repr(raw)[2:-1].encode()))
    made.append(("html", text.encode("ascii", "xmlcharrefreplace")))
    made.append(("percent", re.sub(rb"[^\x21-\x7e]", lambda m: b"%%%02X" % ord(m[0]), raw)))
    return made + byte_forms(raw)


def weight_forms(pair: bytes) -> list[tuple[str, bytes]]:
    """Two float32 as tensors, as texts, and as bytes that were encoded."""
    values = np.frombuffer(pair, dtype="<f4")
    made = [(name, values.astype(name).tobytes()) for name in ("<f4", ">f4", "<f8", ">f8")]
    made.append(("decimal", ", ".join(repr(float(v)) for v in values).encode()))
    made.append(("short decimal", ", ".join(str(v) for v in values).encode()))
    return made + byte_forms(pair)


def byte_forms(raw: bytes) -> list[tuple[str, bytes]]:
    """Bytes in hex, either case, and in base64, whatever number of bytes stands before."""
    made = [("hex", raw.hex().encode()), ("HEX", raw.hex().upper().encode())]
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw)
        # The first and the last group depend on what stands beside.
        inner = whole[4 if before else 0 : 4 * ((before + len(raw)) // 3)]
        made.append((f"base64+{before}", inner))
    return made
