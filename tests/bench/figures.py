"""The tables and the plot of tests/bench/compare."""

import os
import pathlib
import re
import statistics

# What is promised: the figure, over what, at least. Rates.
PROMISES = [
    ("GetSignal tcp, 64", "nng echo tcp, 64", 0.90),
    ("GetSignal ipc, 64", "nng echo ipc, 64", 0.90),
    ("CreateSignal tcp, 64", "nng echo tcp, 64", 0.65),
    ("CreateSignal ipc, 64", "nng echo ipc, 64", 0.65),
    ("CloseTrade tcp, 64", "nng echo tcp, 64", 0.45),
    ("CloseTrade ipc, 64", "nng echo ipc, 64", 0.45),
    ("CreateSignal ipc, 64", "gRPC C++ and SQLite, 64", 10.0),
    ("CreateSignal ipc, 64", "PostgreSQL, 64", 3.0),
    ("CreateSignal ipc, 64", "Redis, 64", 1.0),
    ("CreateSignal ipc, 64", "SQLAlchemy, 1 process", 50.0),
    ("CreateSignal ipc, 64", "SQLAlchemy, 4 processes", 50.0),
    ("BatchCreateSignals(500) rows", "SQLite in process, 500 rows", 0.85),
    ("CreateSignal ipc, 1", "gRPC C++ and SQLite, 1", None),
    ("CreateSignal ipc, 1", "PostgreSQL, 1", None),
    ("CreateSignal ipc, 1", "Redis, 1", None),
    ("CreateSignal ipc, 1", "SQLite in process, 1 rows", None),
    ("Echo ipc, 64", "nng echo ipc, 64", None),
    ("GetSignal ipc, 64", "Echo ipc, 64", None),
    ("CreateSignal ipc, 64", "Echo ipc, 64", None),
    ("CloseTrade ipc, 64", "Echo ipc, 64", None),
]
LATENCY_BEYOND_US = 30.0
OURS = re.compile(r"Echo|GetSignal|CreateSignal|CloseTrade|BatchCreate")


def machine():
    processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return f"{os.cpu_count()} x {processor[1] if processor else os.uname().machine}, Linux {os.uname().release}"


def of_rounds(results, name, key):
    return [result[key] for result in results[name]]


def spread(values, form):
    return f"{statistics.median(values):{form}}  ({min(values):{form}} to {max(values):{form}})"


def verdict(value, promised):
    if promised is None:
        return ""
    return f"{promised:g} promised, {'reached' if value >= promised else 'MISSED'}"


def print_rates(results):
    print(f"\n{'a second, and median latency; median of the rounds (least to most)':68}{'us':>9}")
    for name in results:
        rates = spread(of_rounds(results, name, "per_second"), ",.0f")
        print(f"  {name:32}{rates:>34}{statistics.median(of_rounds(results, name, 'median_us')):9,.0f}")


def print_ratios(results):
    print("\nratios of rates within a round; median (least to most)")
    for ours, theirs, promised in PROMISES:
        pairs = zip(of_rounds(results, ours, "per_second"), of_rounds(results, theirs, "per_second"))
        ratios = [our / their for our, their in pairs]
        print(f"  {ours + ' / ' + theirs:58}{spread(ratios, '.2f'):>24}  {verdict(statistics.median(ratios), promised)}")


def print_latency(results):
    print("\nus of a CreateSignal alone beyond one echo of nng and one fdatasync in place; median (least to most)")
    for transport in ("tcp", "ipc"):
        parts = (of_rounds(results, name, "median_us")
                 for name in (f"CreateSignal {transport}, 1", f"nng echo {transport}, 1", "fdatasync, in place"))  # fmt: skip
        beyond = [create - echo - sync for create, echo, sync in zip(*parts)]
        reached = "reached" if statistics.median(beyond) <= LATENCY_BEYOND_US else "MISSED"
        print(f"  {transport:58}{spread(beyond, '.0f'):>24}  at most {LATENCY_BEYOND_US:g} promised, {reached}")


def print_tables(results, machine_name):
    print(f"\n{machine_name}; {len(results['fdatasync, in place'])} rounds")
    print_rates(results)
    print_ratios(results)
    print_latency(results)


def plot(results, path):
    import matplotlib  # pylint: disable=import-outside-toplevel; installed by compare itself

    matplotlib.use("svg")
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel

    names = [name for name in results if not name.startswith("fdatasync")]
    names.sort(key=lambda name: statistics.median(of_rounds(results, name, "per_second")))
    medians = [statistics.median(of_rounds(results, name, "per_second")) for name in names]
    below = [median - min(of_rounds(results, name, "per_second")) for name, median in zip(names, medians)]
    above = [max(of_rounds(results, name, "per_second")) - median for name, median in zip(names, medians)]
    figure, axes = pyplot.subplots(figsize=(9, 0.26 * len(names) + 1.2))
    axes.barh(names, medians, xerr=[below, above], capsize=2,
              color=["tab:blue" if OURS.match(name) else "tab:gray" for name in names])  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("a second; the number after a name is how many calls are under way; blue: tradebook")
    axes.grid(axis="x", alpha=0.4)
    axes.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path)
