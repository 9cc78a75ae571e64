"""EIP-712 as the exchange checks it: what clients sign, and whose signature it is.

Written out here by the standard and not taken from the client, so that the one proves the other. What it
does not know: accounts, markets, whether an order makes sense. Source: protocol sheet, sections 5.2 and 8.
"""

from typing import Final, NamedTuple

from coincurve import PublicKey
from eth_utils.crypto import keccak

CHAIN_ID: Final = 137

EXCHANGE_V2: Final = "0xE111180000d2663C0091e4f400237545B87B996B"
EXCHANGE_V3: Final = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"

AUTH_MESSAGE: Final = "This message attests that I control the given wallet"

DEPOSIT_WALLET: Final = 3
"""The signature type whose signer is a contract, the deposit wallet."""

HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Contracts refuse the other one of a signature's two forms. Source: EIP-2."""

_V2_BITS: Final = ((1 << 64) - 1) << 40
"""A token whose number has none of these bits belongs to Protocol V2. Source: protocol sheet, section 8.3."""

_ORDER: Final = (
    b"Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,"
    b"uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
_WRAPPED: Final = (
    b"TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,"
    b"bytes32 salt)" + _ORDER
)
_DOMAIN: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_AUTH_DOMAIN: Final = b"EIP712Domain(string name,string version,uint256 chainId)"
_AUTH: Final = b"ClobAuth(address address,string timestamp,uint256 nonce,string message)"


class OrderStruct(NamedTuple):
    """The fields of an order that are signed. ``side`` is 0 for BUY; amounts are millionths."""

    salt: int
    maker: str
    signer: str
    token_id: int
    maker_amount: int
    taker_amount: int
    side: int
    signature_type: int
    timestamp: int
    metadata: str
    builder: str


def auth_digest(address: str, timestamp: str, nonce: int) -> bytes:
    """Return what is signed to create or derive an API key.

    Raises:
        ValueError: The address is none.
    """
    domain = keccak(keccak(_AUTH_DOMAIN) + keccak(b"ClobAuthDomain") + keccak(b"1") + _word(CHAIN_ID))
    struct = keccak(
        keccak(_AUTH)
        + _address(address)
        + keccak(timestamp.encode())
        + _word(nonce)
        + keccak(AUTH_MESSAGE.encode())
    )
    return _digest(domain, struct)


def order_digest(order: OrderStruct) -> bytes:
    """Return the hash of an order under its exchange's domain, which is the order's id too.

    Raises:
        ValueError: A field does not fit its type.
    """
    return _digest(_exchange_domain(order.token_id), _order_hash(order))


def signer_of(order: OrderStruct, signature: str) -> str | None:
    """Return the address that signed an order, in lower case, or None where nobody can have.

    A deposit wallet's owner signs the order wrapped into a statement of the wallet, and appends what the
    wallet needs to check it (ERC-7739).

    Raises:
        ValueError: A field does not fit its type.
    """
    try:
        given = bytes.fromhex(signature.removeprefix("0x"))
    except ValueError:
        return None
    if order.signature_type != DEPOSIT_WALLET:
        return recovered(order_digest(order), given)
    domain, contents = _exchange_domain(order.token_id), _order_hash(order)
    if given[65:] != domain + contents + _ORDER + len(_ORDER).to_bytes(2):
        return None
    statement = keccak(
        keccak(_WRAPPED)
        + contents
        + keccak(b"DepositWallet")
        + keccak(b"1")
        + _word(CHAIN_ID)
        + _address(order.signer)
        + bytes(32)
    )
    return recovered(_digest(domain, statement), given[:65])


def recovered(digest: bytes, signature: bytes) -> str | None:
    """Return the address whose key made a signature over a digest, in lower case."""
    if len(signature) != 65 or int.from_bytes(signature[32:64]) > HALF_ORDER:
        return None
    parity = signature[64] - 27 if signature[64] >= 27 else signature[64]
    if parity not in (0, 1):
        return None
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([parity]), digest, hasher=None)
    except Exception:  # noqa: BLE001 (the library raises a bare Exception for points off the curve)
        return None
    return "0x" + keccak(key.format(compressed=False)[1:])[12:].hex()


def is_address(text: str) -> bool:
    """Say whether a text is an address: 0x and forty hexadecimal digits."""
    digits = text.removeprefix("0x")
    return len(text) == 42 and len(digits) == 40 and all(c in "0123456789abcdefABCDEF" for c in digits)


def _exchange_domain(token_id: int) -> bytes:
    is_v3 = not token_id & _V2_BITS
    version, contract = (b"3", EXCHANGE_V3) if is_v3 else (b"2", EXCHANGE_V2)
    return keccak(
        keccak(_DOMAIN)
        + keccak(b"Polymarket CTF Exchange")
        + keccak(version)
        + _word(CHAIN_ID)
        + _address(contract)
    )


def _order_hash(order: OrderStruct) -> bytes:
    return keccak(
        keccak(_ORDER)
        + _word(order.salt)
        + _address(order.maker)
        + _address(order.signer)
        + _word(order.token_id)
        + _word(order.maker_amount)
        + _word(order.taker_amount)
        + _word(order.side)
        + _word(order.signature_type)
        + _word(order.timestamp)
        + _bytes32(order.metadata)
        + _bytes32(order.builder)
    )


def _digest(domain: bytes, struct: bytes) -> bytes:
    return keccak(b"\x19\x01" + domain + struct)


def _word(number: int) -> bytes:
    if not 0 <= number < 1 << 256:
        raise ValueError(f"{number} is no uint256")
    return number.to_bytes(32)


def _address(text: str) -> bytes:
    if not is_address(text):
        raise ValueError(f"{text[:60]!r} is no address")
    return bytes(12) + bytes.fromhex(text[2:])


def _bytes32(text: str) -> bytes:
    value = bytes.fromhex(text.removeprefix("0x"))
    if len(value) != 32:
        raise ValueError(f"{text[:80]!r} is not 32 bytes")
    return value
