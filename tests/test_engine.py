"""The engine over a tiny model of random weights: llama.cpp itself, in milliseconds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from tiny import tiny_adapter, tiny_model

from tutor.engine import Text, fronts
from tutor.errors import ModelError
from tutor.llama import PIECE
from tutor.llm import LlamaCppChat
from tutor.states import AHEAD, States, keys, piece_ends

PARTS = [f"Del {n}: {'dette er en kilde om nummer ' * 3}{n}." for n in range(6)]


def asked(parts: Sequence[int], question: str) -> list[BaseMessage]:
    sources = "\n\n".join(PARTS[n] for n in parts)
    return [SystemMessage("Du er lærer."), HumanMessage(f"Kilder:\n\n{sources}\n\n{question}"), AIMessage("Ja, ")]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


Make = Callable[..., LlamaCppChat]


@pytest.fixture
def make(tiny: Path) -> Make:
    def made(**options: object) -> LlamaCppChat:
        return LlamaCppChat(**{"model_path": tiny, "n_ctx": 1024, "n_threads": 1, "max_tokens": 24, **options})

    return made


def answered(model: LlamaCppChat, messages: list[BaseMessage]) -> tuple[str, int]:
    """The text, and how many tokens of the prompt were known."""
    reply = model.invoke(messages)
    assert reply.usage_metadata
    return reply.text, reply.usage_metadata["input_token_details"]["cache_read"]


QUESTIONS = [asked(parts, f"Spørsmål {n}?") for parts in ((0,), (0, 1), (0, 1, 2), (3, 1), (0, 2)) for n in range(4)]


def test_answers_are_the_same_with_states_and_without(make: Make, tmp_path: Path) -> None:
    alone = [answered(make(), q) for q in QUESTIONS]
    assert {cached for _, cached in alone} == {0}
    assert len({text for text, _ in alone}) > len(QUESTIONS) // 3, "the tiny model says too much the same to tell"
    model = make(states=tmp_path)
    with_states = [answered(model, q) for q in QUESTIONS]
    from_disk = [answered(make(states=tmp_path), q) for q in QUESTIONS]
    assert [t for t, _ in with_states] == [t for t, _ in from_disk] == [t for t, _ in alone]
    assert all(cached for _, cached in with_states[1:])
    assert all(cached for _, cached in from_disk)


def test_a_state_is_the_same_to_the_bit_whoever_else_asks(make: Make) -> None:
    alone, busy = make(), make(students=3)
    for question in QUESTIONS:
        answered(alone, question)
    busy.load()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda q: answered(busy, q), QUESTIONS))
    kept, others = alone._engine.states._held, busy._engine.states._held
    assert kept.keys() == others.keys() and len(kept) > 10
    assert all((kept[key] == others[key]).all() for key in kept)


def test_the_front_that_two_prompts_share_is_read_once(make: Make) -> None:
    model = make()
    answered(model, asked((0, 1), "Hva?"))
    _, same = answered(model, asked((0, 1), "Hvorfor?"))
    _, first = answered(model, asked((0, 4), "Hva?"))
    _, none = answered(model, [SystemMessage("Noe annet, som også er langt nok til å telle som en bit.")])
    assert same > first > 0 == none


def test_what_stands_before_the_question_is_kept_though_no_piece_ends_with_it(make: Make) -> None:
    model = make(n_ctx=512)
    model.load()
    for size in range(PIECE, 2 * PIECE, 5):  # the blank line comes at any distance from where a piece is full
        source = f"{size}{'s' * size}\n\nHva?"
        messages: list[BaseMessage] = [SystemMessage("Du er lærer."), HumanMessage(source)]
        prompt = model._prompt(messages)
        blank = max(n for n, token in enumerate(prompt, 1) if model._engine.blank(token))
        before = [end for end in piece_ends(prompt, model._engine.blank, PIECE) if end <= blank]
        answered(model, messages)
        assert answered(model, [messages[0], HumanMessage(source + " Hvorfor?")])[1] == before[-1]


def test_an_activated_adapter_is_in_use_from_the_question_on(make: Make, tmp_path: Path) -> None:
    whole, late = tiny_adapter(tmp_path / "whole.gguf"), tiny_adapter(tmp_path / "late.gguf", "Spørsmål")
    plain, adapted, activated = make(), make(lora_path=whole), make(lora_path=late)
    texts = [[answered(m, q)[0] for q in QUESTIONS[:4]] for m in (plain, adapted, activated)]
    assert all(one != two for a, b in ((0, 1), (0, 2), (1, 2)) for one, two in zip(texts[a], texts[b], strict=True))
    uninvoked = asked((0, 1), "Hva?")
    assert answered(activated, uninvoked)[0] == answered(plain, uninvoked)[0] != answered(adapted, uninvoked)[0]


def test_what_stands_before_an_activated_adapter_serves_with_it_and_without(make: Make, tmp_path: Path) -> None:
    late, states = tiny_adapter(tmp_path / "late.gguf", "Spørsmål"), tmp_path / "states"
    expected = [answered(make(lora_path=late), q)[0] for q in QUESTIONS]
    answered(make(states=states), QUESTIONS[0])
    model = make(lora_path=late, states=states, students=3)
    text, known = answered(model, QUESTIONS[0])
    assert text == expected[0] and known > 0
    model.prepare([QUESTIONS[9]])
    _wait(model)
    text, known = answered(model, QUESTIONS[9])
    assert text == expected[9] and known == len(model._prompt(QUESTIONS[9])) - 1
    uninvoked = asked((3, 4), "Hva?")
    with ThreadPoolExecutor(6) as pool:
        texts = [pool.submit(answered, model, q) for q in QUESTIONS]
        others = [pool.submit(answered, model, uninvoked) for _ in range(3)]
        assert [t.result()[0] for t in texts] == expected
        assert {o.result()[0] for o in others} == {answered(make(), uninvoked)[0]}


def test_a_damaged_state_is_built_anew(make: Make, tmp_path: Path) -> None:
    expected, _ = answered(make(states=tmp_path), QUESTIONS[5])
    files = sorted(tmp_path.glob("*.kv"))
    for n, file in enumerate(files):
        raw = file.read_bytes()
        file.write_bytes([raw[: len(raw) // 2], b"", raw[:-1] + bytes([raw[-1] ^ 1])][n % 3])
    text, cached = answered(make(states=tmp_path), QUESTIONS[5])
    assert (text, cached) == (expected, 0)
    text, cached = answered(make(states=tmp_path), QUESTIONS[5])
    assert text == expected and cached > 0


def test_a_state_of_another_model_is_not_used(make: Make, tiny: Path, tmp_path: Path) -> None:
    answered(make(states=tmp_path), QUESTIONS[5])
    raw = bytearray(tiny.read_bytes())
    raw[-1] ^= 1
    other = tmp_path / "other.gguf"
    other.write_bytes(raw)
    assert answered(make(states=tmp_path, model_path=other), QUESTIONS[5])[1] == 0


def test_the_disk_limit_holds_and_the_last_used_stay(make: Make, tmp_path: Path) -> None:
    model = make(states=tmp_path)
    model.load()
    model._engine.states = States(tmp_path, 500_000)
    for question in QUESTIONS:
        answered(model, question)
    assert 0 < sum(f.stat().st_size for f in tmp_path.iterdir()) <= 500_000
    assert answered(make(states=tmp_path), QUESTIONS[-1])[1] > 0


def test_a_folder_that_cannot_be_written_only_costs_time(make: Make, tmp_path: Path) -> None:
    (tmp_path / "fil").write_text("")
    assert answered(make(states=tmp_path / "fil" / "states"), QUESTIONS[0])[0]


def test_what_is_prepared_need_not_be_read(make: Make, tmp_path: Path) -> None:
    model = make(states=tmp_path)
    model.prepare(QUESTIONS)
    _wait(model)
    assert answered(make(states=tmp_path), asked((0, 1, 2), "Et nytt spørsmål?"))[1] > 200


def test_a_whole_prompt_that_is_prepared_leaves_one_token_to_read(make: Make, tmp_path: Path) -> None:
    model = make(states=tmp_path)
    expected = answered(make(), QUESTIONS[5])[0]
    model.prepare(QUESTIONS[5:6])
    _wait(model)
    text, cached = answered(model, QUESTIONS[5])
    assert (text, cached) == (expected, len(model._prompt(QUESTIONS[5])) - 1)


def test_sources_alone_can_be_prepared(make: Make, tmp_path: Path) -> None:
    model = make(states=tmp_path)
    model.prepare(QUESTIONS[5:6], question=False)
    _wait(model)
    other = asked((0, 1), "Noe annet?")
    sources = len(model._prompt(asked((0, 1), "§"))) - len(model._prompt(asked((), "§")))
    assert answered(model, other)[1] >= sources
    assert len(list(tmp_path.glob("*.kv"))) == len(piece_ends(model._prompt(other), model._engine.blank, 64)) - 2


def test_what_is_prepared_takes_the_place_of_what_nobody_uses_any_more(make: Make, tmp_path: Path) -> None:
    (tmp_path / "old.kv").write_bytes(bytes(200_000))
    os.utime(tmp_path / "old.kv", (1, 1))
    model = make(states=tmp_path)
    model.load()
    model._engine.states = States(tmp_path, 200_000)
    model.prepare(QUESTIONS)
    _wait(model)
    sizes = [f.stat().st_size for f in tmp_path.iterdir()]
    assert not (tmp_path / "old.kv").exists()
    assert 0.9 * AHEAD < sum(sizes) / 200_000 < AHEAD + max(sizes) / 200_000


def test_what_is_wanted_soon_goes_first_and_leaves_the_disk_alone(make: Make, tmp_path: Path) -> None:
    model = make(states=tmp_path)
    model.load()
    read: list[str] = []
    states = model._engine.states
    put = states.put
    states.put = lambda key, content, on_disk=True: (
        read.append("disk" if on_disk else "memory"),
        put(key, content, on_disk),
    )[1]
    with model._engine._lock:  # nothing is begun before both are in line
        model._engine._later.extend(fronts(model._engine, [model._prompt(QUESTIONS[5])]))
        model._engine._soon.extend([model._prompt(QUESTIONS[12])])
        model._engine._work()
    _wait(model)
    assert read == sorted(read, reverse=True) and set(read) == {"memory", "disk"}
    known = len(model._prompt(QUESTIONS[12])) - 1
    assert answered(model, QUESTIONS[12])[1] == known > answered(make(states=tmp_path), QUESTIONS[12])[1]


def test_what_a_student_asks_is_not_kept(make: Make, tmp_path: Path) -> None:
    model = make(states=tmp_path)
    answered(model, asked((0, 1), "Hva?"))
    files = set(tmp_path.iterdir())
    answered(model, asked((0, 1), "Et nytt spørsmål " * 9))
    assert files and set(tmp_path.iterdir()) == files


def test_more_ask_than_there_is_room_for_and_all_are_answered(make: Make) -> None:
    model = make(students=4)
    model.load()
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda n: answered(model, QUESTIONS[n % len(QUESTIONS)])[0], range(50)))
    assert len(replies) == 50 and all(replies)


def _wait(model: LlamaCppChat) -> None:
    end = time.monotonic() + 30
    while not model._engine.idle and time.monotonic() < end:
        time.sleep(0.01)
    assert model._engine.idle


def test_one_that_leaves_gives_up_its_place(make: Make) -> None:
    model = make(max_tokens=500)
    expected = make(max_tokens=5).invoke("hei", temperature=0).text
    stream = model.stream("Tell til tusen")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert model.invoke("hei", max_tokens=5).text == expected
    assert threading.active_count() < 20


def test_tokens_are_counted_one_by_one(make: Make) -> None:
    reply = make(max_tokens=7).invoke("hei")
    assert reply.usage_metadata
    assert reply.usage_metadata["output_tokens"] <= 7
    assert reply.response_metadata["finish_reason"] in ("stop", "length")


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError, match="tutor models verify"):
        LlamaCppChat(model_path=tmp_path / "m.gguf").invoke("hei")


def test_pieces_depend_on_what_is_before_them_alone() -> None:
    tokens = [n % 37 for n in range(400)]
    whole = piece_ends(tokens, lambda t: t == 0, 64)
    assert whole[-1] == 400 and max(b - a for a, b in zip([0, *whole], whole, strict=False)) <= 64
    for length in range(1, 400):
        front = piece_ends(tokens[:length], lambda t: t == 0, 64)
        assert front[:-2] == [e for e in whole if e < length - 1]
        assert front[-2:] == [length - 1, length] if length > 1 else [length]


def test_keys_tell_every_token_and_the_model() -> None:
    assert keys("a", [1, 2, 3, 4], [2, 4])[0] == keys("a", [1, 2, 9, 9], [2, 4])[0]
    assert keys("a", [1, 2, 3, 4], [2, 4])[1] != keys("a", [1, 9, 3, 4], [2, 4])[1]
    assert keys("a", [1, 2], [2]) != keys("b", [1, 2], [2])


def test_half_a_letter_waits_for_the_rest() -> None:
    text = Text(())
    raw = "blåbær".encode()
    assert "".join(text.add(raw[n : n + 1]) for n in range(len(raw))) == "blåbær"
    assert text.add(b"\xc3") == "" and text.add(b"", last=True) == ""


@pytest.mark.parametrize("size", [1, 2, 5])
def test_nothing_is_shown_from_a_stop_string_on(size: int) -> None:
    text, raw, shown = Text(("SLUTT", "\n\n")), b"en SLU to SLUTT tre", ""
    for n in range(0, len(raw), size):
        shown += text.add(raw[n : n + size])
        if text.stopped:
            break
    assert shown == "en SLU to "
