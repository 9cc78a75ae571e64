"""Hashes and signatures against published vectors, and against the official client's own."""

import httpx
import pytest
from eth_account import Account as Wallet
from hypothesis import given
from hypothesis import strategies as st
from polymarket._internal.actions.orders.typed_data import build_order_signature, build_order_typed_data
from polymarket._internal.actions.orders.types import UnsignedOrder

from engine.practice.eip712 import (
    EXCHANGE_V2,
    HALF_ORDER,
    OrderStruct,
    auth_digest,
    order_digest,
    recovered,
    signer_of,
)
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, Keys, credentials_of
from engine.practice.order_errors import Refused
from tests.practice.hand_made import UP, HandMadeTape, served
from tests.practice.signing import STRANGER_KEY, ZERO, signature

AUTH_VECTOR = (
    "0x659ed4b28ae28e0f038fdf0023c00863c9559caacb9ebc83f44eea87059a099a"
    "36f1e1dee110e7faa1c4f65d17489b2da1333ebef78bbe2116d81207b975052d1c"
)
V3_DIGEST = "be4623473cfc9a5fa45c8b1905293b2f318c2bb4b570ad82dd262132fc5949de"
V3_VECTOR = (
    "0x3421b92239ecae7d71c2d5595b5980ae6c792c6185398fcfb465c17276c5ab70"
    "175615cf2a816dc87492093c3ee55d612e2554959889568b5a4fbc379967786d1c"
)
WALLET = "0x" + "ab" * 20


def struct(token_id=1234, signature_type=0, holder=PRACTICE_ADDRESS, side=0):
    return OrderStruct(
        479249096354,
        holder,
        holder,
        token_id,
        5_200_000,
        10_000_000,
        side,
        signature_type,
        1_700_000_000_000,
        ZERO,
        ZERO,
    )


def signed_by_client(order):
    """Return the official client's signature of an order."""
    unsigned = UnsignedOrder(
        builder=ZERO,
        chain_id=137,
        exchange_address=EXCHANGE_V2,
        expiration=0,
        maker=order.maker,
        maker_amount=order.maker_amount,
        metadata=ZERO,
        order_type="FOK",
        salt=order.salt,
        side="SELL" if order.side else "BUY",
        signature_type=order.signature_type,
        signer=order.signer,
        taker_amount=order.taker_amount,
        timestamp=order.timestamp,
        token_id=str(order.token_id),
        protocol_version="2",
    )
    made = Wallet.from_key(PRACTICE_KEY).sign_typed_data(full_message=build_order_typed_data(unsigned))
    return build_order_signature(unsigned, "0x" + made.signature.hex())


def test_the_published_vectors_hold():
    """The protocol sheet's own, for a key's creation and for an order of Protocol V2's exchange."""
    given_ = bytes.fromhex(AUTH_VECTOR[2:])
    assert recovered(auth_digest(PRACTICE_ADDRESS, "1700000000", 0), given_) == PRACTICE_ADDRESS.lower()
    assert order_digest(struct()).hex() == V3_DIGEST
    assert signer_of(struct(), V3_VECTOR) == PRACTICE_ADDRESS.lower()


@pytest.mark.parametrize("side", [0, 1])
def test_the_official_clients_signature_is_the_owners(side):
    """An ordinary account's, under the exchange that today's tokens trade on."""
    order = struct(int(UP), side=side)
    assert signer_of(order, signed_by_client(order)) == PRACTICE_ADDRESS.lower()


def test_a_deposit_wallets_signature_is_its_owners():
    """The default of new accounts: the order wrapped in a statement of the wallet."""
    order = struct(int(UP), signature_type=3, holder=WALLET)
    made = signed_by_client(order)
    assert len(made) == 636
    assert signer_of(order, made) == PRACTICE_ADDRESS.lower()
    assert signer_of(order, made[:-2] + "bb") is None
    other = order._replace(signer="0x" + "cd" * 20)
    assert signer_of(other, made) is None


@given(st.sampled_from(OrderStruct._fields[3:9]), st.integers(1, 1000))
def test_an_order_that_was_changed_is_nobodys(field, by):
    """Each signed number counts."""
    order = struct(int(UP))
    made = signature(order_digest(order))
    changed = order._replace(**{field: getattr(order, field) + by})
    assert signer_of(changed, made) != PRACTICE_ADDRESS.lower()


@given(st.binary(max_size=70))
def test_any_bytes_are_a_signature_or_none(junk):
    """Never an exception."""
    assert signer_of(struct(int(UP)), "0x" + junk.hex()) != PRACTICE_ADDRESS.lower()


def test_the_other_form_of_a_signature_is_refused():
    """Contracts do so too: a signature must not have a twin."""
    digest = order_digest(struct(int(UP)))
    made = bytes.fromhex(signature(digest)[2:])
    order = 2 * HALF_ORDER + 1
    twin = made[:32] + (order - int.from_bytes(made[32:64])).to_bytes(32) + bytes([55 - made[64]])
    assert recovered(digest, made) == PRACTICE_ADDRESS.lower()
    assert recovered(digest, twin) is None


def headers(key=PRACTICE_KEY, address=PRACTICE_ADDRESS, at=1_700_000_000, nonce=0):
    return {
        "poly_address": address,
        "poly_timestamp": str(at),
        "poly_nonce": str(nonce),
        "poly_signature": signature(auth_digest(address, str(at), nonce), key),
    }


def test_keys_are_created_once_and_derived_after_that():
    """The practice account's first one is there already."""
    keys = Keys(lambda: 1_700_000_002.0)
    assert keys.derive(headers()) == credentials_of(PRACTICE_ADDRESS, 0)
    with pytest.raises(Refused, match="Could not create api key"):
        keys.create(headers())
    with pytest.raises(Refused, match="Could not derive api key!"):
        keys.derive(headers(nonce=1))
    assert keys.create(headers(nonce=1)) == keys.derive(headers(nonce=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": STRANGER_KEY},
        {"at": 1_699_999_990},
        {"at": 1_700_000_010},
        {"address": "0x" + "1" * 40},
    ],
)
def test_a_key_is_for_whoever_signed_just_now(wrong):
    """Somebody else's signature and a time that is off are refused alike."""
    with pytest.raises(Refused, match="Invalid L1 Request headers") as refused:
        Keys(lambda: 1_700_000_002.0).derive(headers(**wrong))
    assert refused.value.status == 401


async def test_a_private_call_without_or_with_a_wrong_signature_is_401():
    """In the exchange's words; body, path, time, key and passphrase all count."""
    made = credentials_of(PRACTICE_ADDRESS, 0)
    wrong = {
        "POLY_ADDRESS": PRACTICE_ADDRESS,
        "POLY_API_KEY": made.api_key,
        "POLY_PASSPHRASE": made.passphrase,
        "POLY_TIMESTAMP": "1",
        "POLY_SIGNATURE": "é",
    }
    calls = [("GET", "/data/orders"), ("GET", "/balance-allowance"), ("DELETE", "/cancel-all")]
    async with served(HandMadeTape([])) as urls, httpx.AsyncClient(base_url=urls["CLOB_HOST"]) as client:
        for method, path in calls:
            for sent in ({}, {name: value.encode() for name, value in wrong.items()}):
                answer = await client.request(method, path, headers=sent)
                assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized/Invalid api key"})


def test_the_published_signature_of_a_call_is_accepted(monkeypatch):
    """The protocol sheet's vector, with its secret; another body or path is refused."""
    vector = credentials_of(PRACTICE_ADDRESS, 0)._replace(secret="A" * 43 + "=")
    monkeypatch.setattr("engine.practice.keys.credentials_of", lambda *_: vector)
    keys = Keys(lambda: 1_700_000_000.0)
    sent = {
        "poly_address": PRACTICE_ADDRESS,
        "poly_api_key": vector.api_key,
        "poly_passphrase": vector.passphrase,
        "poly_timestamp": "1700000000",
        "poly_signature": "-PUdMuGD63fwGrjfWWDTMme64hsoU-TNjWB7GroYNmo=",
    }
    told = ("POST", "/v1/heartbeats", sent, b'{"heartbeat_id":""}')
    assert keys.account(*told).address == PRACTICE_ADDRESS.lower()
    for other in (
        ("PUT", *told[1:]),
        ("POST", "/order", *told[2:]),
        (*told[:3], b""),
        (*told[:2], {**sent, "poly_passphrase": "x"}, told[3]),
    ):
        with pytest.raises(Refused):
            keys.account(*other)
