"""Adds JUnit reports to counts of what passed and failed, and says the sum. Exit status
1 when anything failed. A report that is not there is a failure."""

import sys
import xml.etree.ElementTree


def main() -> int:
    passed, failed, skipped = int(sys.argv[1]), int(sys.argv[2]), 0
    for file in sys.argv[3:]:
        try:
            suites = list(xml.etree.ElementTree.parse(file).getroot().iter("testsuite"))
        except (OSError, xml.etree.ElementTree.ParseError) as error:
            print(f"{file}: {error}")
            failed += 1
            continue
        for suite in suites:
            bad = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
            left_out = int(suite.get("skipped", "0"))
            passed += int(suite.get("tests", "0")) - bad - left_out
            failed += bad
            skipped += left_out
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
