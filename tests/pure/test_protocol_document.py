"""PROTOCOL.md is current, and its test vectors hold without our own frames and key schedule."""

import hashlib
import hmac
import json

from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.signing import SigningKey, VerifyKey

from shared.protocol.codes import CLOSE_NUMBERS
from shared.protocol.document import PATH, document
from shared.protocol.phases import SENDER, name
from shared.protocol.vectors import vectors


def test_the_document_is_current() -> None:
    assert PATH.read_text(encoding="utf-8") == document()


def test_it_leaves_nothing_out() -> None:
    text = document()
    assert "{{" not in text
    for kind in SENDER:
        assert f"### `{name(kind)}`\n" in text
        assert all(f"| `{field}` |" in text for field in kind.__struct_fields__)
    assert all(f"| `{code}` | {number} |" in text for code, number in CLOSE_NUMBERS.items())


def jcs(body: dict[str, object]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def test_the_vectors_hold_by_the_document_alone() -> None:
    found = vectors()
    given = {what: bytes.fromhex(value) for what, value in found.inputs.items()}
    computed = {what: bytes.fromhex(value) for what, value in found.computed.items()}
    hello, auth = json.loads(found.hellos["server hello"]), json.loads(found.hellos["worker hello"])
    signed_by_server, signed_by_worker = bytes.fromhex(hello.pop("signature")), bytes.fromhex(auth.pop("signature"))
    hashed = hashlib.sha256(jcs(hello) + jcs(auth)).digest()
    assert hashed == computed["transcript hash"]
    server_pk = bytes(SigningKey(given["coordinator Ed25519 seed"]).verify_key)
    assert hello["server_pk"] == server_pk.hex()
    VerifyKey(server_pk).verify(b"hive/v1/server-hello\0" + jcs(hello), signed_by_server)
    transcript = b'hive/v1/worker-hello\0{"transcript":"' + hashed.hex().encode() + b'"}'
    SigningKey(given["worker Ed25519 seed"]).verify_key.verify(transcript, signed_by_worker)

    mine = given["coordinator ephemeral X25519 secret"]
    assert hello["ephemeral_pk"] == crypto_scalarmult_base(mine).hex()
    secret = crypto_scalarmult(mine, bytes.fromhex(auth["ephemeral_pk"]))
    assert secret == computed["X25519 shared secret"]
    extracted = hmac.digest(hashed, secret, "sha256")
    first = hmac.digest(extracted, b"hive/v1/session-keys\1", "sha256")
    second = hmac.digest(extracted, first + b"hive/v1/session-keys\2", "sha256")
    assert (first, second) == (computed["key to the worker"], computed["key to the coordinator"])

    for key, what in [(first, "first frame to the worker"), (second, "first frame to the coordinator")]:
        frame = computed[what]
        assert frame[:8] == bytes(7) + b"\1"
        assert frame[8:24] == hashlib.blake2b(frame[:8] + frame[24:], key=key, digest_size=16).digest()
    assert json.loads(computed["first frame to the worker"][24:])["type"] == "welcome"


def test_the_token_chain_holds_by_the_document_alone() -> None:
    (job, empty), (_, head) = list(vectors().computed.items())[-2:]
    link = hashlib.sha256(b"hive/v1/token-chain\0" + job.split()[4].rstrip(",").encode() + b":1").digest()
    assert link.hex() == empty
    for position, token in enumerate([5, 6, 7]):
        link = hashlib.sha256(link + position.to_bytes(4, "big") + token.to_bytes(4, "big")).digest()
    assert link.hex() == head
