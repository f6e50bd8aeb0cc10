"""Sums up all runs of the tests, names every skip, and ends with 'N passed, N failed, N skipped'.

Usage: python tally.py JUNIT-FOLDER LOG-FOLDER. Fails on a failed test, on a run without tests and
on a skip that is not listed: one whose reason does not start with ``skip-listed: ``.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

LISTED = "skip-listed: "
# What the C driver prints; pytest's summaries have more in the line.
DRIVER = re.compile(r"(\d+) passed, (\d+) failed")

# What pytest writes for a file that was left out whole: (path, line, reason).
WHOLE_FILE = re.compile(r"\(.*, \d+, (?P<quote>['\"])(?P<reason>.*)(?P=quote)\)")


def reason_of(skip):
    whole_file = WHOLE_FILE.fullmatch(skip.text or "")
    return whole_file["reason"] if whole_file else skip.get("message", "")


junit, logs = map(Path, sys.argv[1:])
total = Counter(passed=0, failed=0, skipped=0)
skips = Counter()
ok = True

for report in sorted(junit.glob("*.xml")):
    counts = Counter(passed=0, failed=0, skipped=0)
    for case in ElementTree.parse(report).iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif skip is not None:
            counts["skipped"] += 1
            skips[reason_of(skip)] += 1
        else:
            counts["passed"] += 1
    print(f"{report.stem:20}", ", ".join(f"{n} {what}" for what, n in counts.items()))
    ok &= counts["passed"] > 0 and counts["failed"] == 0
    total += counts

for log in sorted(logs.glob("*.log")):
    lines = log.read_text().splitlines()
    skips.update(line for line in lines if line.startswith(LISTED))
    for driver in filter(None, map(DRIVER.fullmatch, lines)):
        print(f"{log.stem:20} {driver[0]}")
        total.update(passed=int(driver[1]), failed=int(driver[2]))

print("skips:" if skips else "skips: none")
for reason, count in sorted(skips.items()):
    # pytest puts this before the reason of a skip that is raised while collecting.
    listed = reason.removeprefix("Skipped: ").startswith(LISTED)
    ok &= listed
    print(f"  {'' if listed else 'NOT LISTED: '}{reason} ({count})")

print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
sys.exit(not ok)
