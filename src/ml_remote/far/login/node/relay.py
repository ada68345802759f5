"""Lead standard input and output to a socket of this machine: `relay.py SOCKET`.

srun runs this on the compute node for each connection. It imports nothing of ours, so that it is
there at once; Python 3.6 is enough.
"""

import os
import socket
import sys
import threading

_PIECE = 1 << 16


def main() -> int:
    """Copy both ways until one side has ended."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(sys.argv[1])
    except OSError as error:
        print("lab: The job is ending ({}).".format(error.strerror), file=sys.stderr)
        return 1
    threading.Thread(target=_send, args=(connection,), daemon=True).start()
    try:
        while True:
            piece = connection.recv(_PIECE)
            if not piece:
                return 0
            while piece:
                piece = piece[os.write(1, piece) :]
    except OSError:
        return 0


def _send(connection: socket.socket) -> None:
    """Copy standard input to the socket; its end is passed on."""
    try:
        while True:
            piece = os.read(0, _PIECE)
            if not piece:
                break
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass


if __name__ == "__main__":
    sys.exit(main())
