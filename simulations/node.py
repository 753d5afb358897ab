"""The app that the simulation engine hands to its workers; it names the clients' app only.

The engine wants the object in the server's process. This one carries no client code: the
worker imports it on the first message, so the server's process never does.
"""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from typing_extensions import override


class RemoteClientApp(ClientApp):
    """Stands for ``clients.app:app`` wherever that must not be imported."""

    @override
    def __call__(self, message: Message, context: Context) -> Message:
        from clients.app import app

        return app(message, context)


app = RemoteClientApp()
"""What ``flwr run`` loads: Flower does that in the server's process, too, to see whether it can."""
