"""Calling places that callers name: against a server on loopback that misbehaves on purpose, and names that lie."""

import asyncio
import gzip
from pathlib import Path

import pytest

from coordinator.outside.addresses import NOTHING_ALLOWED, Allowed, allowed, as_address
from coordinator.outside.http import Outside
from coordinator.outside.names import is_here, look_up
from coordinator.outside.outcome import Room, UnreachedError
from tests.support_outside import AUTHORITY, NAME, Heard, Names, Other, Say, answering, other_side

LONG_S = 30.0


def outside(other: Other, names: Names | None = None) -> Outside:
    """Calls this server by its address, and by any name that `names` says is its."""
    return Outside(allowed([f"127.0.0.1:{other.port}"]), names or Names())


async def fetched(calling: Outside, url: str, most: int = 1000, within_s: float = LONG_S) -> bytes:
    return await calling.fetch(url, Room(most), within_s, redirects=3)


async def test_a_post_arrives_as_it_was_sent_and_nothing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with other_side() as other:
        other.scripts["/hook"] = answering(204, set_cookie="a=b")
        names = Names(hooks_example=[["127.0.0.1"]])
        calling = outside(other, names)
        url = f"http://hooks.example:{other.port}/hook?a=1#never"
        for _ in range(2):
            assert await calling.post(url, b'{"a":1}', {"content-type": "application/json"}, LONG_S) == 204
        first, second = other.heard.get_nowait(), other.heard.get_nowait()
        assert (
            first
            == second
            == Heard(
                "POST",
                "/hook?a=1",
                {
                    "host": f"hooks.example:{other.port}",
                    "user-agent": "Hive",
                    "accept-encoding": "identity",
                    "content-type": "application/json",
                    "content-length": "7",
                },
                b'{"a":1}',
            )
        )
        assert names.asked == ["hooks.example"] * 2


async def test_a_name_that_answers_differently_the_second_time_is_asked_once() -> None:
    async with other_side() as other:
        other.scripts["/"] = answering(200, b"fine")
        names = Names(rebinding_example=[["127.0.0.1"], ["10.0.0.1"]])
        calling = outside(other, names)
        assert await fetched(calling, f"http://rebinding.example:{other.port}/") == b"fine"
        assert names.asked == ["rebinding.example"]
        with pytest.raises(UnreachedError, match="https"):
            await fetched(calling, f"http://rebinding.example:{other.port}/")
        with pytest.raises(UnreachedError, match="no public address"):
            await calling.post(f"http://rebinding.example:{other.port}/", b"", {}, LONG_S)
        assert other.connections == 1


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:10.0.0.1"], ["64:ff9b::7f00:1"], ["fe80::1"]]
)
async def test_one_address_that_is_not_public_is_enough(addresses: list[str]) -> None:
    calling = Outside(NOTHING_ALLOWED, Names(a_example=[addresses]))
    with pytest.raises(UnreachedError, match="has no public address"):
        await calling.post("https://a.example/", b"", {}, LONG_S)


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f000001", "[::ffff:127.0.0.1]", "localhost.", "127.1", "2130706433"])
async def test_this_very_machine_is_not_called_whatever_it_is_called(host: str) -> None:
    async with other_side() as other:
        for url in (f"http://{host}:{other.port}/", f"https://{host}:{other.port}/"):
            with pytest.raises(UnreachedError, match="not public"):
                await fetched(Outside(NOTHING_ALLOWED), url)
        assert other.connections == 0


@pytest.mark.parametrize("to", ["http://0x7f000001:{}/inner", "//[::1]:{}/inner", "http://rebound.example:{}/inner"])
async def test_a_redirect_to_this_machine_is_not_followed(to: str) -> None:
    async with other_side() as other, other_side() as inner:
        other.scripts["/"] = answering(302, location=to.format(inner.port))
        calling = outside(other, Names(rebound_example=[["127.0.0.1"]]))
        with pytest.raises(UnreachedError):
            await fetched(calling, f"http://127.0.0.1:{other.port}/")
        assert (other.connections, inner.connections) == (1, 0)


@pytest.mark.parametrize("to", ["/there", "there", "//127.0.0.1:{}/there", "http://127.0.0.1:{}/there"])
async def test_a_redirect_is_followed_and_checked_anew(to: str) -> None:
    async with other_side() as other:
        other.scripts["/"] = answering(307, location=to.format(other.port))
        other.scripts["/there"] = answering(200, b"here")
        assert await fetched(outside(other), f"http://127.0.0.1:{other.port}/") == b"here"


@pytest.mark.parametrize(
    ("to", "says"), [("/", "redirects more"), ("file:///etc/passwd", "https://"), ("//[", "no URL")]
)
async def test_redirects_end(to: str, says: str) -> None:
    async with other_side() as other:
        other.scripts["/"] = answering(301, location=to)
        with pytest.raises(UnreachedError, match=says):
            await fetched(outside(other), f"http://127.0.0.1:{other.port}/")


async def test_a_post_is_never_redirected() -> None:
    async with other_side() as other:
        other.scripts["/"] = answering(307, location="/there")
        assert await outside(other).post(f"http://127.0.0.1:{other.port}/", b"x", {}, LONG_S) == 307
        assert other.connections == 1


async def test_a_body_that_never_ends_is_left_at_the_limit() -> None:
    gone = asyncio.Event()

    async def endless(_: Heard, say: Say) -> None:
        await say(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                await say(bytes(65536))
        except OSError:
            gone.set()

    async with other_side() as other:
        other.scripts["/"] = endless
        with pytest.raises(UnreachedError, match="more than the 100000 bytes"):
            await fetched(outside(other), f"http://127.0.0.1:{other.port}/", most=100_000)
        await asyncio.wait_for(gone.wait(), LONG_S)


async def test_several_answers_share_one_room() -> None:
    async with other_side() as other:
        other.scripts["/"] = answering(200, bytes(600))
        calling, room = outside(other), Room(1000)
        url = f"http://127.0.0.1:{other.port}/"
        await calling.fetch(url, room, LONG_S, 0)
        with pytest.raises(UnreachedError, match="more than the 1000 bytes"):
            await calling.fetch(url, room, LONG_S, 0)


async def test_what_was_packed_is_not_unpacked() -> None:
    async with other_side() as other:
        other.scripts["/"] = answering(200, gzip.compress(bytes(10_000_000)), content_encoding="gzip")
        with pytest.raises(UnreachedError, match="encoding"):
            await fetched(outside(other), f"http://127.0.0.1:{other.port}/", most=100_000)


async def test_a_slow_drip_ends_when_the_time_is_over() -> None:
    async def drip(_: Heard, say: Say) -> None:
        await say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        never = asyncio.get_running_loop().create_future()
        while True:
            await say(b".")
            await asyncio.wait([never], timeout=0.02)

    async with other_side() as other:
        other.scripts["/"] = drip
        with pytest.raises(UnreachedError, match=r"did not answer within 0\.2 s"):
            await fetched(outside(other), f"http://127.0.0.1:{other.port}/", within_s=0.2)


@pytest.mark.parametrize(
    "said",
    [b"", b"SSH-2.0-OpenSSH_9.7\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
     b"HTTP/1.1 200 OK\r\n" + b"a: " + b"b" * 200_000 + b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"],
)  # fmt: skip
async def test_what_is_no_http_is_told_so(said: bytes) -> None:
    async def odd(_: Heard, say: Say) -> None:
        await say(said)

    async with other_side() as other:
        other.scripts["/"] = odd
        with pytest.raises(UnreachedError, match="does not speak HTTP"):
            await fetched(outside(other), f"http://127.0.0.1:{other.port}/")


async def test_nobody_there_is_told_so() -> None:
    async with other_side() as other:
        port = other.port
    with pytest.raises(UnreachedError, match="nobody is there"):
        await Outside(allowed([f"127.0.0.1:{port}"])).post(f"http://127.0.0.1:{port}/", b"", {}, LONG_S)


async def test_a_second_address_is_tried_where_the_first_takes_no_connection() -> None:
    async with other_side() as other:
        other.scripts["/"] = answering(200, b"second")
        names = Names(two_example=[["127.0.0.2", "127.0.0.1"]])
        calling = Outside(allowed(["127.0.0.0/8"]), names)
        assert await fetched(calling, f"http://two.example:{other.port}/") == b"second"


async def test_the_certificate_is_checked_by_name_though_the_address_was_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "authority.pem").write_text(AUTHORITY)
    names = Names(hooks_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    async with other_side(tmp_path) as other:
        other.scripts["/"] = answering(200, b"by name")
        with pytest.raises(UnreachedError, match="certificate does not hold"):
            await fetched(outside(other, names), f"https://{NAME}:{other.port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        calling = outside(other, names)
        assert await fetched(calling, f"https://{NAME}:{other.port}/") == b"by name"
        assert other.heard.get_nowait().headers["host"] == f"{NAME}:{other.port}"
        for host in ("other.example", "127.0.0.1"):
            with pytest.raises(UnreachedError, match="certificate does not hold"):
                await fetched(calling, f"https://{host}:{other.port}/")
        with pytest.raises(UnreachedError, match="does not speak HTTP"):
            await fetched(calling, f"http://{NAME}:{other.port}/")


async def test_plain_http_is_fetched_from_the_operators_own_places_alone() -> None:
    calling = Outside(Allowed(), Names(a_example=[["8.8.8.8"]]))
    with pytest.raises(UnreachedError, match="over https"):
        await fetched(calling, "http://a.example/")
    with pytest.raises(UnreachedError, match="over https"):
        await fetched(calling, "http://8.8.8.8/")


async def test_a_public_address_of_this_very_machine_is_not_called() -> None:
    calling = Outside(Allowed(), Names(a_example=[["8.8.8.8"]]), here=lambda address: str(address) == "8.8.8.8")
    with pytest.raises(UnreachedError, match="no public address"):
        await calling.post("https://a.example/", b"", {}, LONG_S)


def test_the_addresses_of_this_machine_are_known() -> None:
    assert is_here(as_address("127.0.0.1"))
    assert not is_here(as_address("192.0.2.1"))


async def test_names_are_looked_up_by_the_system() -> None:
    found = await look_up("localhost")
    assert found
    assert all(address.is_loopback for address in found)
    with pytest.raises(UnreachedError, match="no public address"):
        await look_up("a" * 64)
