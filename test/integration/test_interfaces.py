#!/usr/bin/python3
"""Runs client programs of test/clients against a real cluster: test_interfaces.py NAME.py..."""
import os
import subprocess
import sys

from cluster import Cluster

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients")


def main():
    failed = 0
    with Cluster() as c:
        for name in sys.argv[1:]:
            # The gRPC program takes an endpoint, the others host and port.
            args = [f"127.0.0.1:{c.port + 1}"] if "grpc" in name else ["127.0.0.1", str(c.port)]
            r = subprocess.run([sys.executable, os.path.join(CLIENTS, name), *args], capture_output=True, text=True, timeout=240)
            print(f"{name}: {'ok' if r.returncode == 0 else 'FAILED'}")
            if r.returncode != 0:
                failed += 1
                print(r.stdout[-3000:], r.stderr[-3000:])
    return failed


if __name__ == "__main__":
    sys.exit(main())
