"""The pipeline that everybody builds first, to measure ours against.

Dense search, the three nearest sections in one prompt, one generation; nothing is checked. The same
embedding model, index and language model as the tutor. History is not read: it has no such step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.retrievers import BaseRetriever

from tutor.retrieve import NEAREST, GlossaryRetriever

TOP = 3
SYSTEM = (
    "Du er en hjelpsom faglærer. Svar kort på spørsmålet, på språket det er stilt på, og bruk bare utdragene. "
    "Står ikke svaret der, skriver du: «Ordlisten svarer ikke på det.»"
)
PROMPT = "Utdrag fra ordlisten:\n\n{sources}\n\nSpørsmål: {question}"


class DenseRetriever(BaseRetriever):
    """The sections whose vectors are nearest the question's, and nothing else."""

    glossary: GlossaryRetriever
    k: int = TOP

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        items = self.glossary.index.items
        near = self.glossary.store.nearest(self.glossary.embedder.embed_query(query), min(NEAREST, len(items)))
        sections = [items[n] for n, _ in near if items[n].section != "?"]
        return [Document(f"{p.term}: {p.text}", id=p.id, metadata={"entry_id": p.entry_id}) for p in sections[: self.k]]


class Plain:
    """Question in, text out."""

    def __init__(self, glossary: GlossaryRetriever, llm: BaseChatModel) -> None:
        self.retriever, self.llm = DenseRetriever(glossary=glossary), llm

    def prompt(self, question: str, documents: list[Document]) -> list[Any]:
        """The chat messages: instructions, then extracts and question."""
        from langchain_core.messages import HumanMessage, SystemMessage

        sources = "\n\n".join(d.page_content for d in documents)
        return [SystemMessage(SYSTEM), HumanMessage(PROMPT.format(sources=sources, question=question))]

    def stream(self, question: str) -> Iterator[str]:
        """The model's text as it comes."""
        for chunk in self.llm.stream(self.prompt(question, self.retriever.invoke(question))):
            if chunk.text:
                yield chunk.text
