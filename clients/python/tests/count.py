"""Adds up the counts of JUnit reports: N passed, N failed, N skipped."""

import sys
import xml.etree.ElementTree


def main() -> None:
    total = failed = skipped = 0
    for file in sys.argv[1:]:
        for suite in xml.etree.ElementTree.parse(file).getroot().iter("testsuite"):
            total += int(suite.get("tests", "0"))
            failed += int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
            skipped += int(suite.get("skipped", "0"))
    print(f"{total - failed - skipped} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    main()
