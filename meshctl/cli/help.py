"""`meshctl help`: topics, and the help of a command by its words."""

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
    text = TOPICS[topic][1](me.home)
    if me.out.as_json:
        me.out.json({"topic": topic, "text": text})
    else:
        me.out.line(text)
