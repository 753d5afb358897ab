"""What both sides must agree on: labels, the transfer set, the bytes of the wire."""
