"""Every fault, one script after the other; prints the table that docs/RELIABILITY.md shows. Takes what the scripts take."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = ["kills.py", "disks.py", "damage.py", "clocks.py", "load.py", "copies.py"]


def main():
    print("| fault | what must hold | tries and result | time | command |", flush=True)
    print("|---|---|---|---|---|", flush=True)
    failed = [script for script in SCRIPTS if subprocess.run([sys.executable, HERE / script, *sys.argv[1:]]).returncode]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
