"""When callbacks are sent, what becomes of them, how they are signed, and which addresses they may name."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from coordinator.outside.addresses import allowed
from coordinator.outside.schedule import (
    AT_ONCE,
    DELAYS_S,
    JITTER,
    PER_ACCOUNT,
    PER_HOST,
    Due,
    Outcome,
    admitted,
    outcome,
)
from coordinator.outside.signing import OVERLAP, secrets_of, shown, signed
from coordinator.submit.callback import Callback, callback_of
from shared.errors import RequestError

NOW = datetime.now(UTC)
PEPPER = bytes(range(32))
ACCOUNT = uuid4()


def due(host: str = "a.example", account: UUID = ACCOUNT) -> Due:
    return Due(
        id=uuid4(), account_id=account, host=host, url=f"https://{host}/", shape="hive", tries=0, calls=0, generation=1,
        rotated_at=None,
    )  # fmt: skip


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_status_in_the_two_hundreds_is_a_delivery(status: int) -> None:
    assert outcome(status, 1, NOW, 0.5) == Outcome("delivered", NOW, status, None)


@pytest.mark.parametrize("answer", [199, 301, 307, 400, 404, 409, 429, 500, 503, 999, "did not answer within 15 s"])
def test_anything_else_is_tried_again_over_a_day_and_then_dead(answer: int | str) -> None:
    waited = timedelta()
    for tries, delay in enumerate(DELAYS_S, 1):
        came = outcome(answer, tries, NOW, 0.5)
        assert (came.state, came.due_at) == ("waiting", NOW + timedelta(seconds=delay))
        waited += came.due_at - NOW
    assert timedelta(hours=20) < waited < timedelta(hours=28)
    last = outcome(answer, len(DELAYS_S) + 1, NOW, 0.5)
    assert (last.state, last.status) == ("dead", answer if isinstance(answer, int) else None)
    assert last.reason == (answer if isinstance(answer, str) else f"answers with status {answer}")


def test_who_is_gone_is_not_asked_again() -> None:
    assert outcome(410, 1, NOW, 0.5).state == "dead"


@given(st.integers(1, len(DELAYS_S)), st.floats(0, 1, exclude_max=True))
def test_tries_are_scattered_around_their_time(tries: int, chance: float) -> None:
    waited = (outcome(500, tries, NOW, chance).due_at - NOW).total_seconds()
    assert abs(waited - DELAYS_S[tries - 1]) <= DELAYS_S[tries - 1] * JITTER / 2 + 1e-5


def test_one_host_and_one_account_leave_room_for_others() -> None:
    slow, others = [due("slow.example") for _ in range(50)], [due(f"{n}.example") for n in range(100)]
    chosen = admitted([*slow, *others], [])
    assert len([one for one in chosen if one.host == "slow.example"]) == PER_HOST
    assert len(chosen) == PER_ACCOUNT
    stranger = due("slow.example", uuid4())
    assert admitted([stranger, due()], chosen) == []
    assert admitted([due("b.example", uuid4())], chosen)[0].host == "b.example"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=400), st.data())
def test_never_more_run_than_may(places: list[tuple[int, int]], data: st.DataObject) -> None:
    accounts = [uuid4() for _ in range(6)]
    waiting = [due(f"{host}.example", accounts[account]) for host, account in places]
    running: list[Due] = []
    while waiting:
        chosen = admitted(waiting, running)
        running += chosen
        assert len(running) <= AT_ONCE
        for name in ("host", "account_id"):
            counts = [
                sum(getattr(one, name) == value for one in running) for value in {getattr(o, name) for o in running}
            ]
            assert max(counts) <= (PER_HOST if name == "host" else PER_ACCOUNT)
        waiting = [one for one in waiting if one not in chosen]
        assert running
        running = running[data.draw(st.integers(1, len(running))) :]


def sent(body: bytes, secrets: list[bytes], at: datetime | None = None) -> dict[str, str]:
    return signed(uuid4(), at or datetime.now(UTC), body, secrets)


@given(st.binary(max_size=300).map(bytes.hex), st.integers(1, 5))
def test_a_signature_is_what_the_library_of_standard_webhooks_expects(text: str, generation: int) -> None:
    (secret,) = secrets_of(PEPPER, ACCOUNT, generation, None, NOW)
    body = f'{{"result_text": "{text} ü"}}'.encode()
    assert Webhook(shown(secret)).verify(body, sent(body, [secret])) == {"result_text": f"{text} ü"}


def test_what_is_changed_old_or_anothers_does_not_verify() -> None:
    (secret,), (other,) = (secrets_of(PEPPER, account, 1, None, NOW) for account in (ACCOUNT, uuid4()))
    hook, headers = Webhook(shown(secret)), sent(b"{}", [secret])
    bad: list[tuple[bytes, dict[str, str]]] = [
        (b"{} ", headers),
        (b"{}", headers | {"webhook-id": "msg_other"}),
        (b"{}", sent(b"{}", [other])),
        (b"{}", sent(b"{}", [secret], datetime.now(UTC) - timedelta(hours=1))),
    ]
    for body, told in bad:
        with pytest.raises(WebhookVerificationError):
            hook.verify(body, told)


def test_after_a_rotation_both_secrets_sign_for_a_day() -> None:
    before = secrets_of(PEPPER, ACCOUNT, 1, None, NOW)
    during = secrets_of(PEPPER, ACCOUNT, 2, NOW, NOW + OVERLAP - timedelta(seconds=1))
    after = secrets_of(PEPPER, ACCOUNT, 2, NOW, NOW + OVERLAP)
    assert during[1:] == before
    assert after == during[:1]
    for secret in during:
        Webhook(shown(secret)).verify(b"{}", sent(b"{}", during))
    with pytest.raises(WebhookVerificationError):
        Webhook(shown(before[0])).verify(b"{}", sent(b"{}", after))


def test_secrets_of_other_accounts_generations_and_coordinators_differ() -> None:
    made = {
        secrets_of(pepper, account, generation, None, NOW)[0]
        for pepper in (PEPPER, bytes(32))
        for account in (ACCOUNT, UUID(int=1))
        for generation in (1, 2, 256)
    }
    assert len(made) == 12
    assert {len(secret) for secret in made} == {32}


def test_a_message_keeps_its_id_however_often_it_is_sent() -> None:
    id_, (secret,) = uuid4(), secrets_of(PEPPER, ACCOUNT, 1, None, NOW)
    first, second = (signed(id_, NOW + timedelta(hours=n), b"{}", [secret]) for n in (0, 5))
    assert first["webhook-id"] == second["webhook-id"] == f"msg_{id_.hex}"
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("url", [None, ""])
def test_no_callback_is_none(url: Any) -> None:
    assert callback_of(url, "hive") is None


def test_a_callback_keeps_its_url_and_the_host_that_it_is_for() -> None:
    url = "https://Hooks.Example./done?a=1"
    assert callback_of(url, "thehive") == Callback(url, "hooks.example", "thehive")
    assert callback_of("http://10.1.2.3/", "hive", allowed(["10.0.0.0/8"])) is not None


@pytest.mark.parametrize(
    "url",
    [
        7, ["https://example.com/"], {"url": "https://example.com/"}, True, "hooks.example/done", "ftp://example.com/",
        "http://127.0.0.1/", "http://localhost:8080/", "https://localhost./", "https://[::1]/", "https://10.1.2.3/x",
        "http://0x7f000001/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest/meta-data/",
        "https://example.com:25/", "https://user:pw@example.com/", "https://" + "a" * 3000,
    ],
)  # fmt: skip
def test_a_callback_that_can_never_be_called_is_refused_at_once(url: Any) -> None:
    with pytest.raises(RequestError) as raised:
        callback_of(url, "hive")
    assert (raised.value.code, raised.value.param, raised.value.status) == (
        "invalid_callback_url",
        "callback_url",
        400,
    )
