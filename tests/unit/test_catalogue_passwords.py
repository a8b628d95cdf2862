"""Hashing beside the loop, a few at once, and no telling whether a name exists."""

import asyncio

import pytest

from umbel.catalogue.model import TooManySignIns
from umbel.catalogue.passwords import Passwords


async def test_a_hash_fits_its_password_only() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("correct horse")
    assert hashed.startswith("$argon2id$")
    assert "correct" not in hashed
    assert await passwords.verify("correct horse", hashed)
    assert not await passwords.verify("correct house", hashed)
    assert not await passwords.verify("correct horse", None)
    assert not await passwords.verify("correct horse", "not a hash")
    assert await passwords.hash("correct horse") != hashed


async def test_the_loop_goes_on_while_hashes_are_made() -> None:
    passwords = Passwords(at_once=1)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    try:
        await passwords.hash("correct horse")
    finally:
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
    assert turns > 100


async def test_a_flood_is_refused_and_the_room_comes_back() -> None:
    passwords = Passwords(at_once=1, waiting=2)
    answers = await asyncio.gather(
        *(passwords.verify("x", None) for _ in range(10)), return_exceptions=True
    )
    assert [a for a in answers if not isinstance(a, Exception)] == [False] * 3
    assert sum(isinstance(a, TooManySignIns) for a in answers) == 7
    assert await passwords.verify("x", None) is False


async def test_who_gives_up_leaves_the_room() -> None:
    passwords = Passwords(at_once=1, waiting=0)
    for _ in range(3):
        waiting = asyncio.create_task(passwords.verify("x", None))
        await asyncio.sleep(0)
        with pytest.raises(TooManySignIns):
            await passwords.verify("x", None)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert await passwords.verify("x", None) is False


async def test_who_sends_many_waits_for_itself() -> None:
    passwords = Passwords(at_once=1)
    done: list[str] = []

    async def verify(source: str) -> None:
        await passwords.verify("x", None, source)
        done.append(source)

    flood = [verify("192.0.2.1") for _ in range(10)]
    await asyncio.gather(*flood, verify("192.0.2.2"), verify("192.0.2.3"))
    assert done[:3] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


async def test_a_flood_from_one_source_takes_one_place() -> None:
    passwords = Passwords(at_once=1, waiting=1)
    flood = [asyncio.create_task(passwords.verify("x", None, "192.0.2.1")) for _ in range(10)]
    await asyncio.sleep(0)
    assert await passwords.verify("x", None, "192.0.2.2") is False
    assert await asyncio.gather(*flood) == [False] * 10
