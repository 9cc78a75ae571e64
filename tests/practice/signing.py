"""Orders as a client posts them, signed here, so that a test may write what the official client would not."""

import json
from itertools import count
from typing import Any

from coincurve import PrivateKey

from engine.practice.eip712 import OrderStruct, order_digest
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, Account, credentials_of

ZERO = "0x" + "0" * 64
STRANGER_KEY = "0x" + "42" * 32
OWNER = Account(PRACTICE_ADDRESS.lower(), credentials_of(PRACTICE_ADDRESS, 0).api_key)

_salts = count(1)


def signature(digest: bytes, key: str = PRACTICE_KEY) -> str:
    """Sign a digest as wallets do: r, s, and the parity plus 27."""
    made = PrivateKey(bytes.fromhex(key[2:])).sign_recoverable(digest, hasher=None)
    return "0x" + made[:64].hex() + f"{made[64] + 27:02x}"


def body(
    token: str,
    side: str,
    offered: int,
    wanted: int,
    /,
    *,
    kind: str = "FOK",
    key: str = PRACTICE_KEY,
    **changed: Any,
) -> bytes:
    """Write the body of ``POST /order``; ``changed`` are fields that differ after the signature."""
    struct = OrderStruct(
        salt=next(_salts),
        maker=PRACTICE_ADDRESS,
        signer=PRACTICE_ADDRESS,
        token_id=int(token),
        maker_amount=offered,
        taker_amount=wanted,
        side=0 if side == "BUY" else 1,
        signature_type=0,
        timestamp=1_790_127_000_000,
        metadata=ZERO,
        builder=ZERO,
    )
    order = {
        "salt": struct.salt,
        "maker": struct.maker,
        "signer": struct.signer,
        "tokenId": token,
        "makerAmount": str(offered),
        "takerAmount": str(wanted),
        "side": side,
        "signatureType": 0,
        "timestamp": str(struct.timestamp),
        "metadata": ZERO,
        "builder": ZERO,
        "expiration": "0",
        "signature": signature(order_digest(struct), key),
    }
    posted = {"deferExec": False, "order": order, "orderType": kind, "owner": OWNER.api_key}
    for name, value in changed.items():
        (order if name in order else posted)[name] = value
    return json.dumps(posted).encode()
