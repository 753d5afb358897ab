"""Messages are handed to the engine's workers when they are pushed, not when it looks for them."""

import inspect
import queue
import threading
from collections import defaultdict, deque

from flwr.app import RecordDict
from flwr.server.superlink.fleet.vce import vce_api

from simulations.flower import Post
from tests.local_grid import instruction


class State:
    """What the engine's own state does with messages to nodes; counts how often it is asked."""

    def __init__(self, messages):
        self.waiting, self.asked = defaultdict(deque), []
        for message in messages:
            self.waiting[message.metadata.dst_node_id].append(message)

    def get_message_ins(self, node_id, limit):
        self.asked.append(node_id)
        found = self.waiting[node_id]
        return [found.popleft() for _ in range(min(limit, len(found)))]


def delivered(messages, announced):
    """What has come, once as much has come as was announced; and the state."""
    post, came, stop, state = Post(), queue.Queue(), threading.Event(), State(messages)
    words = (state, came, dict.fromkeys(range(1000, 1004)), stop)
    thread = threading.Thread(target=post.deliver, args=words)
    thread.start()
    try:
        for part in announced:
            post.announce(part)
        return [came.get(timeout=30.0) for part in announced for _ in part], state
    finally:
        stop.set()
        thread.join()


def test_every_message_is_handed_over_once_and_in_order():
    nodes = [1002, 1000, 1002, 1003, 1002]
    messages = [instruction(RecordDict(), "query.predict", node) for node in nodes]
    came, state = delivered(messages, [messages[:2], [], messages[2:]])
    assert came == messages
    assert state.asked == nodes  # and nobody else, ever


def test_it_ends_with_the_run():
    came, state = delivered([], [[]])
    assert (came, state.asked) == ([], [])


def test_the_engine_still_has_the_place_that_it_takes():
    """Whoever raises flwr's version sees here whether the engine still works this way."""
    words = inspect.signature(vce_api.add_messages_to_queue).parameters
    assert list(words) == ["state", "queue", "nodes_mapping", "f_stop"]
    assert "add_messages_to_queue" in vce_api.run_api.__code__.co_names
