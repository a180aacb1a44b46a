"""`meshctl help`: topics, and the help of a command by its words."""

import json
import subprocess
from typing import Annotated

import typer

from meshctl.cli.build import run
from meshctl.cli.context import Ctx
from meshctl.cli.topics import TOPICS
from meshctl.cli.tree import NOUNS, find
from meshd.wire.errors import NotFound


def help_(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC", help="A topic, or a command.")
    ] = None,
) -> None:
    """Explain a topic or a command, or list the topics."""
    me = Ctx.of(ctx)
    if not words:
        _list(me)
    elif words[0] in TOPICS and len(words) == 1:
        _explain(me, words[0])
    elif find(words) or words[0] in NOUNS:
        raise typer.Exit(run([*words, "--help"], me))
    else:
        raise NotFound(f'no topic "{" ".join(words)}"', next="meshctl help")


def _list(me: Ctx) -> None:
    if me.out.as_json:
        me.out.json(
            [{"topic": topic, "summary": summary} for topic, (summary, _) in TOPICS.items()]
        )
        return
    if not me.out.quiet:
        me.out.lines(["Topics of meshctl help:", ""])
    size = max(map(len, TOPICS))
    for topic, (summary, _) in TOPICS.items():
        me.out.line(topic if me.out.quiet else f"  {topic:<{size}}  {summary}")


def _explain(me: Ctx, topic: str) -> None:
    text = TOPICS[topic][1](me.home, lambda: settings(me))
    if me.out.as_json:
        me.out.json({"topic": topic, "text": text})
    else:
        me.out.line(text)


def settings(me: Ctx) -> list[dict[str, str]]:
    """The daemon's settings as its own program lists them; none when it cannot say."""
    from meshctl.client.start import environment, meshd

    try:
        asked = subprocess.run(
            meshd("config", "--json"),
            capture_output=True,
            check=True,
            timeout=10,
            env=environment(me.home),
        )
        listed = json.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return [one for one in listed if {"env", "default", "help"} <= one.keys()]
