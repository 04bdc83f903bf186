"""Why a record or an event was refused: its code, and what that means in the reader's language. Pure."""

from gateway.console.markup import Markup, join, tag
from gateway.console.words import Speech
from gateway.languages import chinese_fault


def named(say: Speech, reason: str) -> Markup:
    """The code, by which people search and talk, with what it means; a newer one than the words know stands alone."""
    meaning = say.value("reason", reason)
    return join(tag("code", reason), tag("small", meaning) if meaning != reason else None)


def told(say: Speech, reason: str, pointer: str, message: str) -> Markup:
    """A fault as its finder said it. A reader of Chinese has it in Chinese, and the original beneath."""
    head = join(tag("strong", reason), " ", tag("code", pointer or "/"), " ")
    if say.language != "zh":
        return join(head, message)
    chinese = chinese_fault(reason, pointer, message) or say.value("reason", reason)
    return join(head, chinese, tag("small", message, lang="en", class_="original"))
