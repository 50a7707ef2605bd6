# SPDX-License-Identifier: Apache-2.0
"""python3 -m fastgpu: which daemon would be talked to, and what it has."""
import sys

from . import Client, Error, __version__


def main() -> int:
    try:
        with Client(timeout=10) as client:
            print(f"fastgpu {__version__} (Python), fastgpud {client.version()['version']} at {client.where}")
            for d in client.devices():
                print(f"{d.id}  {d.model}: {d.memory_free >> 20} of {d.memory >> 20} MiB and {d.share_free / 10:g} % are free")
    except Error as e:
        print(f"fastgpu {__version__} (Python): {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
