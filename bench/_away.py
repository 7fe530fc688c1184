"""Real EHRs are not on loopback: what stands in front of one here lets every byte arrive a little later, in both directions.

Bytes are never held up by those before them: what was sent together arrives together, as on a long wire.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE = 65_536


@contextmanager
def away(host: str, port: int, round_trip: float) -> Iterator[int]:
    """A port of this machine behind which the server is so many seconds away, there and back."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, (host, port), round_trip / 2), daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def _accept(listener: socket.socket, server: tuple[str, int], late: float) -> None:
    with suppress(OSError):  # closed
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(server)
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((near, far), (far, near)):
                wire: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                threading.Thread(target=_hear, args=(source, wire, late), daemon=True).start()
                threading.Thread(target=_tell, args=(sink, wire), daemon=True).start()


def _hear(source: socket.socket, wire: queue.SimpleQueue[tuple[float, bytes]], late: float) -> None:
    piece = b"?"
    while piece:
        try:
            piece = source.recv(PIECE)
        except OSError:
            piece = b""
        wire.put((time.perf_counter() + late, piece))


def _tell(sink: socket.socket, wire: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    with suppress(OSError):  # the other side has hung up
        while True:
            due, piece = wire.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            if not piece:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(piece)
