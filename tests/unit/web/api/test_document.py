"""The commands of docs/api.md do what they are there for."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.unit.web.api.program import Program
from tests.unit.web.site import Site

TEXT = (Path(__file__).parents[4] / "docs" / "api.md").read_text("utf-8")
BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands() -> list[str]:
    blocks = "\n".join(BLOCKS.findall(TEXT)).replace("\\\n", " ")
    return [line for line in blocks.splitlines() if line.startswith("curl ")]


def curl(program: Program, command: str, values: dict[str, str]) -> int:
    for name, value in values.items():
        command = command.replace(f"${name}", value)
    words = shlex.split(command)[1:]
    headers: dict[str, str | None] = {"Idempotency-Key": None}
    method, body, url = "GET", None, ""
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = words.pop(0).encode()
        else:
            url = word
    return program.call(method, url.removeprefix("http://here/api/v1"), body, headers).status_code


def test_every_command_of_the_document_succeeds_as_it_stands(site: Site, program: Program) -> None:
    world = site.street.world
    world.move("mug", 3, "opening > available@A", "3")
    values = {"SERVER": "http://here", "KEY": program.token, "ITEM": str(world.items["mug"]), "PLACE": str(world.a)}
    told = {command: curl(program, command, values) for command in commands()}
    assert len(told) >= 11
    assert {command: status for command, status in told.items() if status >= 300} == {}
    assert world.available("mug") == 3
