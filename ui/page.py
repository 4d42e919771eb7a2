"""What Gradio's page template leaves to be desired: language, title, foreign meta tags, our own style and script."""

from __future__ import annotations

import json
import re
from html import escape

from ui.texts import LANGUAGES, TEXTS, text

TOKEN = re.compile(r"@@(\w+)@@")
LEFT_OUT = re.compile(r'<meta\s+(property="og:|name="twitter:)[^>]*>\s*|<link rel="manifest"[^>]*>\s*')


def localise(page: str, language: str) -> str:
    """Put the reader's language in for every ``@@key@@``. The tokens stand in JSON strings."""

    def words(match: re.Match[str]) -> str:
        if match[1] == "language_code":
            return language
        if match[1] not in TEXTS:
            return match[0]
        return json.dumps(text(language, match[1]))[1:-1].replace("<", "\\u003c")

    return TOKEN.sub(words, page)


def rewrite(page: str, language: str, nonce: str, root: str, compact: bool, chosen: str = "") -> str:
    """Gradio's index.html as the student gets it. ``root`` is the path of the app, without a slash at the end.

    A language that was ``chosen`` in the address goes along to the glossary.
    """
    page = LEFT_OUT.sub("", localise(page, language))
    size = "compact" if compact else "full"
    page = page.replace('lang="en"', f'lang="{language}" data-language="{language}" class="{size}"', 1)
    head = (
        f"<title>{escape(text(language, 'page_title'))}</title>"
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="{root}/ui/icon.svg">'
        f'<link rel="stylesheet" href="{root}/ui/base.css">'
        f'<link rel="stylesheet" href="{root}/ui/chat.css">'
        f'<script defer src="{root}/ui/chat.js"></script>'
    )
    page = page.replace("</head>", f"{head}</head>", 1)
    page = re.sub(
        r"(<body[^>]*>)",
        lambda m: m[1] + _header(language, root, compact, f"?lang={chosen}" if chosen in LANGUAGES else ""),
        page,
        count=1,
    )
    return re.sub(r"<script(?=[\s>])", f'<script nonce="{nonce}"', page)


def _header(language: str, root: str, compact: bool, keep: str) -> str:
    """The top of the page, which stands at once while Gradio's script loads."""

    def say(key: str) -> str:
        return escape(text(language, key))

    def link(code: str) -> str:
        current = ' aria-current="true"' if code == language else ""
        name = f'lang="{code}" hreflang="{code}" title="{LANGUAGES[code]}"{current}'
        return f'<a href="?lang={code}" {name}>{code.upper()}</a>'

    target = ' target="_blank" rel="noopener"' if compact else ""
    glossary = f'<a href="{root}/ordliste{keep}"{target}>{say("glossary")}</a>'
    return (
        '<header class="top">'
        f"<h1{' class=unseen' if compact else ''}>{say('title')}</h1>"
        f'<nav aria-label="{say("tools")}">{glossary}</nav>'
        f'<nav class="languages" aria-label="{say("language")}">{"".join(link(code) for code in LANGUAGES)}</nav>'
        f'</header><div id="trouble" role="alert" data-says="{say("trouble")}" data-reload="{say("reload")}"></div>'
        f"<noscript><p>{say('no_script')} {glossary}</p></noscript>"
    )
