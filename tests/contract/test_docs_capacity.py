"""The arithmetic of docs/capacity.md comes to what the page says it comes to."""

import re
import subprocess
import sys

from tests.servers import REPOSITORY

PAGE = (REPOSITORY / "docs" / "capacity.md").read_text("utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def printed(what: str) -> float:
    """What is printed for a line of it."""
    (found,) = re.findall(rf"^{re.escape(what)} +([\d,.]+)", block("text"), re.MULTILINE)
    return float(found.replace(",", ""))


def test_it_prints_what_the_page_shows() -> None:
    ran = subprocess.run([sys.executable, "-I", "-c", block("python")], capture_output=True, text=True, check=True)
    assert ran.stdout == block("text")


def test_its_unit_costs_are_those_of_the_table() -> None:
    table = PAGE.partition("## Unit costs")[2].partition("\n## ")[0]
    code = block("python")
    for written, shown in (
        ("once, per_viewer = 120e-6, 5.2e-6", ("| 120 us |", "| 5.2 us |")),
        ("fact, submit = 41e-6, 600e-6", ("| 41 us |", "| 600 us |")),
        ("nats_fact, nats_preview, nats_step = 141e-6, 14e-6, 2.8e-6", ("| 141 us,", "14 us (20 kB)", "| 2.8 us (330")),
        ("nats_list = 8.2e-3 * (models * 16 / 320)", ("| 8.2 ms at 320 rows,",)),
        ("row_bytes, socket_bytes = 1_064, 3_450, 31 * 1024", ("| 3,450 bytes |", "| 31 KiB |", "4,255 bytes")),
        ("steps, steps_per_s, rest_s = 30, 5.0, 1.0", ("| 30 steps at 5 a second, and 1 s for the rest |",)),
    ):
        assert written in code
        for cell in shown:
            assert cell in table, cell


def test_the_steps_say_what_was_printed() -> None:
    steps = PAGE.partition("### Step by step")[2].partition("\n## ")[0]
    for what, said in (
        ("jobs a second", "{:.1f} jobs a second"),
        ("facts a second", "{:.0f} a second"),
        ("hints a second", "{:,.0f} a second"),
        ("show: events delivered a second", "{:,.0f} deliveries a second"),
        ("show: of a gateway's core, however many there are", "{:.2f} of a core each"),
        ("show: gateways for their processor", "{:.0f} gateways. Their network"),
        ("show: to viewers", "{:.1f} Gbit/s of previews want"),
        ("own: gateways for their sockets", "{:.0f} gateways at 10,000 each"),
        ("gateways, with one to spare", "{:.0f} a region"),
        ("NATS: hints in", "{:.0f} MB/s of hints from workers"),
        ("NATS: hints out, show", "{:.0f} MB/s (1.3 Gbit/s)"),
        ("facts on the disk of each NATS, a day", "{:.1f} GB of facts"),
        ("the same, kept", "{:.1f} GB of facts and"),
        ("database of each gateway, kept", "and {:.1f} GB of database"),
        ("as many hours of jobs fit a snapshot", "in one: {:.1f} hours of jobs"),
        ("between two snapshots", "one in {:.0f} minutes"),
        ("a new gateway with one, at most", "in {:.0f} s at most"),
        ("a new gateway without one", "without one, in {:.0f} s"),
        ("outputs into the bucket", "{:.0f} MB/s of outputs in"),
        ("outputs kept", "{:.1f} TB kept"),
        ("show: outputs, had by every viewer", "it would be {:.0f} Gbit/s"),
    ):
        assert said.format(printed(what)) in " ".join(steps.split()), what


def test_what_breaks_follows_from_the_unit_costs() -> None:
    events_a_job = printed("own: events delivered a second") / (1000 / 3)
    left_for_events = 0.6 - printed("facts a second") * 41e-6 - printed("jobs a second") * 600e-6
    at_most = left_for_events / 120e-6
    assert f"At {round(at_most, -2):,.0f} such events a second" in PAGE
    assert f"about {round(at_most / events_a_job, -1):.0f} running jobs" in PAGE
