"""The examples of the README, as they are but for the addresses."""

import pathlib
import re
import subprocess
import sys

import conformance
import pytest

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

SIGNAL = (
    "INSERT INTO signals (timestamp, symbol, direction, confidence, tier, ensemble_prediction) "
    "VALUES ('2026-01-02 03:04:05.000006', 'BTC-USD', 'long', 0.7, 'high', 0.5)"
)
# What an example prints, by words that only it has.
PRINTS = {
    "sl_price": "2 v7_full_math\n",
    "tradebook.aio": "[]\n",
    "Subscribe": "1 BTC-USD 10.0\n",
    "PerformanceTracker": "win 1.953125 100.0\n",
    "error_details_pb2": "StatusCode.INVALID_ARGUMENT ['signal']\n",
}


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == len(PRINTS)


@pytest.mark.parametrize("words", PRINTS)
def test_example(server: conformance.Server, words: str) -> None:
    (example,) = [example for example in EXAMPLES if words in example]
    if "Subscribe" in example:
        # The stream has no end of its own.
        server.do({"do": "trades", "count": 1})
        example = example.replace('cursor="alerts"', "from_oldest=True") + "        break\n"
    else:
        server.do({"do": "sql", "sql": SIGNAL})
    example = example.replace("tcp://127.0.0.1:7601", server.addresses["address"])
    example = example.replace("tcp://127.0.0.1:7602", server.addresses["events_address"])
    example = example.replace("PerformanceTracker()", f'PerformanceTracker("{server.addresses["address"]}")')
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stderr, done.stdout) == ("", PRINTS[words])
