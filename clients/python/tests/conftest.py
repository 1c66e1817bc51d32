import sys
from collections.abc import Iterator

import conformance
import pytest

# Where serving is.
sys.path.insert(0, str(conformance.FOLDER.parent / "support"))


@pytest.fixture
def server() -> Iterator[conformance.Server]:
    """A server of its own."""
    found = conformance.Server([])
    yield found
    assert found.end() == 0
