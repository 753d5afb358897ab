"""Runs with secure sums, small."""

from clients.client import Client
from clients.secure_sum import contribution
from clients.store import Store
from common.rosters import Roster
from common.terms import Terms
from tests.worlds import tiny_with

SECURE = (
    "wire.secure_sum = true; k_min = 2; server.aggregator = 'mean'",
    "data.partition = 'iid'",
)


def secure_with(*overrides):
    return tiny_with(*SECURE, *overrides)


def ready(folder, clients):
    """Clients of a stocked folder that have their teachers."""
    made = [Client(Store(folder / "clients" / str(client))) for client in clients]
    for client in made:
        client.encode()
        client.train()
    return made


def invitation(folder, server_round=1, attempt=1):
    terms = Terms.read(folder / "terms.json")
    return Roster(server_round, attempt, terms.binding)


def listed(asked, members):
    """The list of an attempt, of members that name their keys now."""
    keys = tuple((member.id, member.name_key(asked)) for member in members)
    return Roster(asked.round, asked.attempt, asked.binding, keys)


def plain(folder, client, parties, server_round=1):
    """What a client adds to a sum, before it is masked."""
    terms = Terms.read(folder / "terms.json")
    own = Client(Store(folder / "clients" / str(client)))
    return contribution(own._speaker.record(server_round), terms, parties)
