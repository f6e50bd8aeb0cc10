"""Prints the size of a wheel and of its largest files; fails above 1 MB.

Usage: python wheel_size.py WHEEL
"""

import sys
from pathlib import Path
from zipfile import ZipFile

LIMIT = 1_000_000

wheel = Path(sys.argv[1])
size = wheel.stat().st_size
print(f"{wheel.name}: {size:,} bytes of {LIMIT:,}")
with ZipFile(wheel) as archive:
    files = sorted(archive.infolist(), key=lambda file: -file.compress_size)
for file in files[:5]:
    print(f"  {file.compress_size:9,} packed {file.file_size:9,} bytes  {file.filename}")
sys.exit(size > LIMIT)
