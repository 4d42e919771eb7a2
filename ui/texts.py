"""Every word of the interface, in bokmål, nynorsk and English.

An English text may say «glossary» and «entry»; the Norwegian ones say «ordliste» and «oppslag».
"""

from __future__ import annotations

import re

LANGUAGES = {"nb": "Bokmål", "nn": "Nynorsk", "en": "English"}

TEXTS: dict[str, tuple[str, str, str]] = {
    # key: (bokmål, nynorsk, English)
    "title": ("Spør ordlisten", "Spør ordlista", "Ask the glossary"),
    "page_title": ("KI-veileder for ordlisten", "KI-rettleiar for ordlista", "AI tutor for the glossary"),
    "glossary": ("Ordliste", "Ordliste", "Glossary"),
    "language": ("Språk", "Språk", "Language"),
    "tools": ("Sider", "Sider", "Pages"),
    "welcome": ("Hva lurer du på?", "Kva lurer du på?", "What would you like to know?"),
    "welcome_more": (
        "Spør om et begrep i kurset. Svarene bygger bare på ordlisten, og du ser hvor hver setning kommer fra.",
        "Spør om eit omgrep i kurset. Svara byggjer berre på ordlista, og du ser kvar kvar setning kjem frå.",
        "Ask about a term in the course. Answers build on the glossary alone, and you see where each sentence "
        "comes from.",
    ),
    "starters": ("Forslag til spørsmål", "Framlegg til spørsmål", "Suggested questions"),
    "what_is": ("Hva er {term}?", "Kva er {term}?", "What is {term}?"),
    "means": ("Hva betyr {term}?", "Kva betyr {term}?", "What does {term} mean?"),
    "simply": ("Forklar {term} enkelt", "Forklar {term} enkelt", "Explain {term} simply"),
    "example": ("Vis et eksempel på {term}", "Vis eit døme på {term}", "Show an example of {term}"),
    "difference": (
        "Hva er forskjellen på {one} og {other}?",
        "Kva er skilnaden på {one} og {other}?",
        "What is the difference between {one} and {other}?",
    ),
    "placeholder": ("Skriv et spørsmål", "Skriv eit spørsmål", "Type a question"),
    "question": ("Spørsmål", "Spørsmål", "Question"),
    "send": ("Send", "Send", "Send"),
    "stop": ("Stopp", "Stopp", "Stop"),
    "new": ("Ny samtale", "Ny samtale", "New conversation"),
    "retry": ("Prøv igjen", "Prøv igjen", "Try again"),
    "copy": ("Kopier", "Kopier", "Copy"),
    "copied": ("Kopiert", "Kopiert", "Copied"),
    "conversation": ("Samtale", "Samtale", "Conversation"),
    "you": ("Du spurte", "Du spurde", "You asked"),
    "answer": ("Svar", "Svar", "Answer"),
    "sources": ("Kilder", "Kjelder", "Sources"),
    "source": ("Kilde {n}: {term}", "Kjelde {n}: {term}", "Source {n}: {term}"),
    "open_entry": ("Les oppslaget", "Les oppslaget", "Read the entry"),
    "new_tab": ("åpnes i ny fane", "blir opna i ny fane", "opens in a new tab"),
    "did_you_mean": ("Mente du …?", "Meinte du …?", "Did you mean …?"),
    "ask_on": ("Spør videre", "Spør vidare", "Ask on"),
    "see_also": ("Se også", "Sjå òg", "See also"),
    "working": ("Leter i ordlisten …", "Leitar i ordlista …", "Looking in the glossary …"),
    "queued": (
        "Du er nummer {n} i køen.",
        "Du er nummer {n} i køen.",
        "You are number {n} in the queue.",
    ),
    "warming": (
        "Veilederen varmer opp. Det tar gjerne noen sekunder.",
        "Rettleiaren varmar opp. Det tek gjerne nokre sekund.",
        "The tutor is warming up. This usually takes a few seconds.",
    ),
    "stopped": ("Du stoppet svaret.", "Du stoppa svaret.", "You stopped the answer."),
    "empty": (
        "Skriv et spørsmål med ord, så skal jeg svare.",
        "Skriv eit spørsmål med ord, så skal eg svare.",
        "Type a question in words, and I will answer.",
    ),
    "long": (
        "Spørsmålet er for langt. Kort det ned til {longest} tegn eller færre.",
        "Spørsmålet er for langt. Kort det ned til {longest} teikn eller færre.",
        "The question is too long. Shorten it to {longest} characters or fewer.",
    ),
    "rate": (
        "Nå gikk det litt fort. Vent et minutt, og spør igjen.",
        "No gjekk det litt fort. Vent eit minutt, og spør igjen.",
        "That was a little too fast. Wait a minute and ask again.",
    ),
    "queue": (
        "Det er mange som spør akkurat nå. Vent litt, og prøv igjen.",
        "Det er mange som spør akkurat no. Vent litt, og prøv igjen.",
        "Many people are asking right now. Wait a moment and try again.",
    ),
    "failed": (
        "Veilederen kom ikke i gang. Si fra til den som driver den.",
        "Rettleiaren kom ikkje i gang. Sei frå til den som driv han.",
        "The tutor could not start. Please tell the person who runs it.",
    ),
    "error": (
        "Noe gikk galt, og svaret stoppet. Prøv igjen.",
        "Noko gjekk gale, og svaret stoppa. Prøv igjen.",
        "Something went wrong and the answer stopped. Try again.",
    ),
    "trouble": (
        "Veilederen svarer ikke akkurat nå. Vent litt, og last siden på nytt.",
        "Rettleiaren svarar ikkje akkurat no. Vent litt, og last sida på nytt.",
        "The tutor is not answering right now. Wait a moment, and reload the page.",
    ),
    "reload": ("Last på nytt", "Last på nytt", "Reload"),
    "interrupted": ("Svaret ble avbrutt.", "Svaret vart avbrote.", "The answer was interrupted."),
    "shortened": (
        "Samtalen ble lang, så begynnelsen er ikke med her.",
        "Samtalen vart lang, så byrjinga er ikkje med her.",
        "The conversation grew long, so its beginning is not included here.",
    ),
    "download": ("Last ned", "Last ned", "Download"),
    "helpful": ("Var svaret nyttig?", "Var svaret nyttig?", "Was the answer helpful?"),
    "up": ("Nyttig", "Nyttig", "Helpful"),
    "down": ("Ikke nyttig", "Ikkje nyttig", "Not helpful"),
    "why_verdict": (
        "Hvorfor? Du kan la være å svare.",
        "Kvifor? Du kan la vere å svare.",
        "Why? You need not answer.",
    ),
    "thanks": (
        "Takk! Læreren din kan lese dette.",
        "Takk! Læraren din kan lese dette.",
        "Thank you! Your teacher can read this.",
    ),
    "not_kept": (
        "Tilbakemeldingen ble ikke lagret.",
        "Tilbakemeldinga vart ikkje lagra.",
        "The feedback was not saved.",
    ),
    "notice_feedback": (
        "Du snakker med en KI som kan ta feil, så sjekk kildene. Spørsmålene blir behandlet på maskinen som kjører "
        "veilederen. Trykker du på en tommel, blir spørsmålet og svaret lagret der.",
        "Du snakkar med ein KI som kan ta feil, så sjekk kjeldene. Spørsmåla blir behandla på maskina som køyrer "
        "rettleiaren. Trykkjer du på ein tommel, blir spørsmålet og svaret lagra der.",
        "You are talking to an AI that can be wrong, so check the sources. Questions are handled on the machine that "
        "runs the tutor. If you press a thumb, the question and the answer are stored there.",
    ),
    "notice": (
        "Du snakker med en KI som kan ta feil, så sjekk kildene. Spørsmålene blir behandlet på maskinen som "
        "kjører veilederen, og blir ikke lagret der.",
        "Du snakkar med ein KI som kan ta feil, så sjekk kjeldene. Spørsmåla blir behandla på maskina som "
        "køyrer rettleiaren, og blir ikkje lagra der.",
        "You are talking to an AI that can be wrong, so check the sources. Questions are handled on the machine "
        "that runs the tutor and are not stored there.",
    ),
    "no_script": (
        "Samtalen trenger JavaScript. Ordlisten kan du lese uten.",
        "Samtalen treng JavaScript. Ordlista kan du lese utan.",
        "The conversation needs JavaScript. You can read the glossary without it.",
    ),
    "search": ("Søk i ordlisten", "Søk i ordlista", "Search the glossary"),
    "search_button": ("Søk", "Søk", "Search"),
    "entries_none": ("Ingen oppslag passer.", "Ingen oppslag passar.", "No entries match."),
    "entries_one": ("1 oppslag", "1 oppslag", "1 entry"),
    "entries_many": ("{n} oppslag", "{n} oppslag", "{n} entries"),
    "ask_this": ("Spør om dette", "Spør om dette", "Ask about this"),
    "also_called": ("Også kalt", "Også kalla", "Also called"),
    "part_of": ("Del av", "Del av", "Part of"),
    "parts": ("Omfatter", "Omfattar", "Includes"),
    "related": ("I slekt med", "I slekt med", "Related to"),
    "map": ("Begrepskart", "Omgrepskart", "Concept map"),
    "map_lead": (
        "Linjene viser hva som henger sammen. Trykk på et begrep for å lese om det.",
        "Linjene viser kva som heng saman. Trykk på eit omgrep for å lese om det.",
        "The lines show what hangs together. Choose a term to read about it.",
    ),
    "map_open": ("Se ordlisten som begrepskart", "Sjå ordlista som omgrepskart", "See the glossary as a concept map"),
    "map_skip": ("Vis som liste", "Vis som liste", "Show as a list"),
    "map_list": ("Kartet som liste", "Kartet som liste", "The map as a list"),
    "map_none": (
        "Ordlisten kan ikke tegnes som kart. Her er den som liste.",
        "Ordlista kan ikkje teiknast som kart. Her er ho som liste.",
        "The glossary cannot be drawn as a map. Here it is as a list.",
    ),
    "show_in_map": ("Vis i begrepskartet", "Vis i omgrepskartet", "Show in the concept map"),
    "zoom": ("Størrelse", "Storleik", "Size"),
    "zoom_in": ("Større", "Større", "Larger"),
    "zoom_out": ("Mindre", "Mindre", "Smaller"),
    "no_text": (
        "Oppslaget har ingen forklaring ennå.",
        "Oppslaget har inga forklaring enno.",
        "This entry has no explanation yet.",
    ),
    "not_found": ("Fant ikke siden", "Fann ikkje sida", "Page not found"),
    "not_found_more": (
        "Oppslaget finnes ikke i ordlisten.",
        "Oppslaget finst ikkje i ordlista.",
        "The glossary has no such entry.",
    ),
    "skip": ("Hopp til innholdet", "Hopp til innhaldet", "Skip to content"),
}  # fmt: skip


def text(language: str, key: str, **values: object) -> str:
    """The text called ``key`` in ``language`` (``nb``, ``nn`` or ``en``)."""
    return TEXTS[key][list(LANGUAGES).index(language)].format(**values)


def negotiate(accept_language: str, chosen: str = "") -> str:
    """The interface language: the chosen one, else the browser's first of ours, else bokmål."""
    if chosen in LANGUAGES:
        return chosen
    wishes: list[tuple[float, str]] = []
    for wish in accept_language[:500].split(","):
        name, _, quality = wish.strip().partition(";q=")
        weight = float(quality) if re.fullmatch(r"[01](\.\d+)?", quality) else 1.0
        wishes.append((-weight, name.lower().partition("-")[0]))
    known = {"nb": "nb", "no": "nb", "nn": "nn", "en": "en"}
    return next((known[name] for _, name in sorted(wishes, key=lambda w: w[0]) if name in known), "nb")
