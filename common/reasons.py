"""Reason codes: all that a message may say about why it was refused or what went wrong."""

from enum import IntEnum


class Reason(IntEnum):
    """One verdict on one message. Numbers and names never change meaning."""

    accepted = 0
    wrong_field = 1
    wrong_length = 2
    not_canonical = 3
    wrong_sum = 4
    wrong_binding = 5
    wrong_round = 6
    wrong_client = 7
    duplicate = 8
    too_large = 9
    timeout = 10
    crashed = 11
    client_error = 12
    refused = 13
    aborted = 14


# What a node may say of its clients, of drop-outs that they are late; the others are the
# server's to find.
SAID_BY_CLIENTS = frozenset(
    {
        Reason.timeout,
        Reason.wrong_field,
        Reason.wrong_binding,
        Reason.wrong_round,
        Reason.wrong_client,
        Reason.client_error,
        Reason.refused,
    }
)


class Refused(Exception):
    """A message that is not taken; carries its reason code and nothing else."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason
