"""Partners: who may publish, what, how much, by which keys, what came from them lately and what they are sent.

A partner's own user sees its own alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TypeVar

from gateway.console import queries
from gateway.console.markup import Markup, address, join, link, tag
from gateway.console.pages import reasons
from gateway.console.pages.now import publishers_section
from gateway.console.pages.scores import late, refused_share, score_section
from gateway.console.pieces import Head, badge, exactly, facts, section, table, when
from gateway.console.queries import Beat, Cause, Credential, PartnerRow, Tally
from gateway.console.scores import score_of
from gateway.console.words import Speech, number
from gateway.sources import Register

C = TypeVar("C", Beat, Tally)


def list_section(
    say: Speech, partners: Sequence[PartnerRow], beats: Sequence[Beat], tallies: Sequence[Tally], register: Register
) -> Markup:
    """A line each; `tallies` of the last day. Each is looked at once, however many partners there are."""
    tallies_of, beats_of = _by_nearest(tallies, register), _by_nearest(beats, register)
    owns = [register.own(row.partner_id) for row in partners]
    scores = [score_of(chain.from_iterable(tallies_of[source] for source in own)) for own in owns]
    rows = [
        (
            join(link(row.name, "partners", row.partner_id), tag("small", row.partner_id)),
            number(sum(beat.events for source in own for beat in beats_of[source])),
            number(score.accepted),
            refused_share(score),
            late(say, score.late_p95_s),
            _heard(say, row),
            _promise(say, row),
            number(row.tokens),
            exactly(say, row.expires_at),
            ", ".join(row.sources),
        )
        for row, own, score in zip(partners, owns, scores, strict=True)
    ]
    heads = (
        Head(say("partner")),
        Head(say("last_minutes", minutes=queries.PULSE_MINUTES), True),
        Head(say("score.events", hours=queries.SCORE_HOURS), True),
        Head(say("score.refused_share", hours=queries.SCORE_HOURS), True),
        Head(say("score.late")),
        Head(say("last_heard")),
        Head(say("promise")),
        Head(say("tokens"), True),
        Head(say("expires")),
        Head(say("sources")),
    )
    return section(say("partners"), table(say("partners.title"), heads, rows, empty=say("partners_none")))


def beats_from(partner_id: str, beats: Iterable[Beat], register: Register) -> list[Beat]:
    """What came from a partner."""
    return [beat for beat in beats if register.has(partner_id, beat.source)]


def sheet(
    say: Speech,
    row: PartnerRow,
    beats: Sequence[Beat],
    causes: Sequence[Cause],
    tallies: Sequence[Tally],
    *,
    sees_all: bool = True,
) -> Markup:
    """One partner: rights, limits, its scorecard, what it sent, what waits in quarantine."""
    held = [
        (
            tag(
                "a",
                reasons.named(say, cause.reason),
                href=address("quarantine", reason=cause.reason, source=cause.event_source or "-"),
            ),
            cause.event_source,
            cause.event_type or "",
            number(cause.records),
        )
        for cause in causes
    ]
    heads = (Head(say("cause")), Head(say("publisher")), Head(say("event")), Head(say("records"), True))
    return join(
        facts(
            (
                (say("rights"), ", ".join(row.scopes)),
                (say("sources"), ", ".join(row.sources)),
                (say("limits"), say("per_second_day", second=number(row.events_per_s), day=number(row.events_per_day))),
                (say("promise"), _promise(say, row)),
                (say("last_heard"), _heard(say, row)),
                (say("tokens"), number(row.tokens)),
                (say("expires"), exactly(say, row.expires_at)),
            )
        ),
        score_section(say, row, tallies),
        publishers_section(say, beats, is_found=sees_all),
        section(say("own_quarantine"), table(say("own_quarantine"), heads, held, empty=say("nothing"))),
    )


def credentials_section(say: Speech, credentials: Sequence[Credential]) -> Markup:
    """Tokens and keys in force; neither a token nor a private key is kept anywhere."""
    rows = [
        (
            say(f"credential.{one.kind}"),
            tag("code", one.name),
            one.note,
            exactly(say, one.added_at),
            when(say, one.expires_at),
        )
        for one in credentials
    ]
    heads = tuple(Head(say(word)) for word in ("kind", "credential_name", "limited_to", "added", "expires_one"))
    return section(say("credentials"), table(say("credentials"), heads, rows, empty=say("credentials_none")))


def _by_nearest(counts: Iterable[C], register: Register) -> defaultdict[str, list[C]]:
    """Each under the registered source that it belongs to."""
    found: defaultdict[str, list[C]] = defaultdict(list)
    for one in counts:
        found[register.nearest(one.source)].append(one)
    return found


def _promise(say: Speech, row: PartnerRow) -> str:
    return "" if row.promised_s is None else say("promise_every", span=say.span(row.promised_s))


def _heard(say: Speech, row: PartnerRow) -> Markup | None:
    """When something of it was last taken, with a word when that is longer ago than it promised."""
    if row.is_silent:
        return join(when(say, row.heard_at), " ", badge(say("silent_promise"), "late"))
    return when(say, row.heard_at)
