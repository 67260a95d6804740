"""One process of a run that only lives; run as a program: peer.py PORT COUNT INDEX PATIENCE SECONDS [STATUS]."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from avatar_jax.peers import PeerLost, gather


def main(port: str, count: str, index: str, patience: str, seconds: str, status: str = "0") -> int:
    try:
        peers = gather("localhost", int(port), int(count), int(index), float(patience))
    except PeerLost as lost:
        print(lost, file=sys.stderr)
        return 1
    peers.watch()
    print("here", flush=True)
    time.sleep(float(seconds))
    peers.leave(int(status))
    return int(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
