"""The tutor in the browser: chat, glossary pages, widget and API, in one FastAPI app."""
