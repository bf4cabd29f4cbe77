"""How the story is printed."""

import textwrap

WIDTH = 80


def heading(text):
    """Prints an underlined line, set off from what came before."""
    print(f"\n\n{text}\n{'-' * len(text)}", flush=True)


def say(text):
    """Prints a paragraph."""
    print(textwrap.fill(text, WIDTH), flush=True)


def item(text):
    """Prints an item of a list; what can be typed is not broken."""
    print(
        textwrap.fill(
            text,
            WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
