"""A kind of problem that the gateway answers with: what it means, and what helps. Pure."""

from gateway.console.markup import Markup, join, tag
from gateway.console.pages import frame
from gateway.console.pieces import facts
from gateway.console.words import Speech
from gateway.kind import Kind


def sheet(say: Speech, kind: Kind) -> Markup:
    """As `GET /problems/{slug}` has it, in the reader's language."""
    return join(
        frame.title(kind.title.in_language(say.language)),
        facts(
            (
                (say("problem.meaning"), kind.meaning.in_language(say.language)),
                (say("problem.next"), kind.next.in_language(say.language)),
                (say("problem.rule"), kind.rule),
                (say("problem.status"), str(kind.status)),
                (say("problem.slug"), tag("code", kind.slug)),
            )
        ),
    )
