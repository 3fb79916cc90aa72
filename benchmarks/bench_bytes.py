"""The same command in hundreds of fresh processes, to see that every file is the same.

    python benchmarks/bench_bytes.py [picture.png] [--chain CHAIN] [--runs 300] [--workers 1 2 3]

Every process has another layout of its addresses, and workers have another than the command. By
default the picture is one in which an address that decides about a match shows most easily: 2
megapixels of which the Paeth filter leaves the data of `narrow_pieces` in tests/test_deflate.py.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import reporting

WIDTH = 1365  # a row and its filter byte are 4096 bytes: every row begins at the same position
HEIGHT = 1536
PAETH = b"\4"


def pattern() -> bytes:
    """Return a PNG file, RGB, whose rows are filtered by Paeth already."""
    source = random.Random(1)
    fours = [bytes(source.sample(range(256), 4)) for _ in range(255 * HEIGHT)]
    units = [four * 3 + four[2:] * 2 for four in fours]
    rows = (
        PAETH + (b"x" + b"".join(units[start : start + 255])).ljust(3 * WIDTH)
        for start in range(0, len(units), 255)
    )
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(b"".join(rows), 1),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


def digests(source: Path, chain: str, workers: int, runs: int, out: Path) -> Counter[str]:
    """Run the command in `runs` fresh processes; return how often each digest came out."""
    command = [sys.executable, "-m", "imgpipe", "run", chain, str(source), "-o", str(out)]
    command += ["-j", str(workers), "--quiet"]
    found: Counter[str] = Counter()
    for turn in range(runs):
        subprocess.run(command, check=True)
        found[hashlib.sha256(out.read_bytes()).hexdigest()[:16]] += 1
        out.unlink()
        print(f"\r{workers} workers: {turn + 1} runs, {len(found)} digests", end="", flush=True)
    print()
    return found


def main() -> None:
    """Run everything, write the table, and fail if not all files are the same."""
    parser = argparse.ArgumentParser(description="Compare the files that fresh processes write.")
    parser.add_argument("picture", type=Path, nargs="?", help="by default one made for this")
    parser.add_argument("--chain", help="by default a blur, or what changes nothing of the default")
    parser.add_argument("--runs", type=int, default=300, help="fresh processes per row")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    args = parser.parse_args()
    code = reporting.fingerprint()
    chain = args.chain or ("blur:sigma=2" if args.picture else "invert | invert")
    with tempfile.TemporaryDirectory() as folder:
        source = args.picture or Path(folder) / "pattern.png"
        if not args.picture:
            source.write_bytes(pattern())
        out = Path(folder) / "out.png"
        counts = {n: digests(source, chain, n, args.runs, out) for n in args.workers}
    every = sum(counts.values(), Counter[str]())
    usual = every.most_common(1)[0][0]
    rows = [
        [str(n), str(found.total()), str(len(found)), str(found.total() - found[usual])]
        for n, found in counts.items()
    ]
    table = reporting.table(["workers", "runs", "digests", "runs that differ"], rows)
    name = args.picture.name if args.picture else "the pattern"
    verdict = "All files are the same." if len(every) == 1 else f"**{len(every)} different files.**"
    notes = f"{verdict} {reporting.same_code(code)}"
    reporting.write("bytes", f"`{chain}` over {name}", [notes, table], {"rows": rows})
    sys.exit(len(every) > 1)


if __name__ == "__main__":
    main()
