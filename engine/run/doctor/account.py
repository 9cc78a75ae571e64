"""The doctor's look at the account: keys, addresses, signature type, balance and allowance.

Addresses and signatures come from the official client's own code; only reads are sent. The client's own
``create`` is not used: it makes API keys and deploys wallets by itself. No line holds more of a secret than
the address that follows from it. Source: protocol sheet, sections 5 and 8.
"""

import importlib
import time
from typing import Any, Final, NamedTuple

import httpx
import msgspec

from engine.config import Settings
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.feeds.polite import FAILURES
from engine.nouns import counted
from engine.run.checks import Line, failed, passed, warned
from engine.units import ONE_E6

KEY_NAMES: Final = ("API_KEY", "API_SECRET", "API_PASSPHRASE")
ANSWER_S: Final = 5.0
POLYGON: Final = 137
DERIVE_PATH: Final = "/auth/derive-api-key"
KEYS_PATH: Final = "/auth/api-keys"
BALANCE_PATH: Final = "/balance-allowance"


class Wallet(NamedTuple):
    """Where an account's money may be, as the client derives it from the signer."""

    kind: str
    signature_type: int
    address: str


class Account(NamedTuple):
    """What follows from the private key. ``signer`` signs, and tells its address only."""

    signer: Any
    wallets: tuple[Wallet, ...]

    def __repr__(self) -> str:
        return f"Account({self.signer.address})"


UNITS_MOST: Final = 80
"""Digits of an amount."""


class Balance(msgspec.Struct):
    """Dollars in millionths, and what the exchange's contracts may take of them, by contract."""

    balance: str
    allowances: dict[str, str] = {}


class _Keys(msgspec.Struct):
    key: str = msgspec.field(name="apiKey")


class _KeyList(msgspec.Struct):
    keys: list[str] = msgspec.field(name="apiKeys")


def key_lines(settings: Settings) -> list[Line]:
    """Say which keys are there; for live trading every one is needed."""
    missing = [name for name in KEY_NAMES if getattr(settings, name.lower()) is None]
    wrong = warned if settings.dry_run else failed
    if not missing:
        api = passed("credentials", "API key, secret and passphrase are set")
    elif len(missing) < len(KEY_NAMES):
        api = wrong("credentials", f"{', '.join(missing)} not set", "set all three, or none")
    elif settings.dry_run:
        api = passed("credentials", "none set: paper needs none")
    else:
        api = failed("credentials", "none set", f"set {', '.join(KEY_NAMES)}")
    if settings.private_key is not None:
        return [api]
    if settings.dry_run:
        return [api, passed("wallet", "no PRIVATE_KEY: paper needs none")]
    lines = [api, failed("wallet", "no PRIVATE_KEY", "set PRIVATE_KEY")]
    if settings.wallet_address is None:
        lines.append(failed("wallet address", "WALLET_ADDRESS is not set", "set the one with the money"))
    return lines


def has_all_keys(settings: Settings) -> bool:
    """Say whether nothing is missing that an order would need."""
    names = (*KEY_NAMES, "PRIVATE_KEY")
    return all(getattr(settings, name.lower()) is not None for name in names)


def account_of(settings: Settings) -> Account | Line:
    """Derive the addresses with the client's own code; a line says why it could not."""
    assert settings.private_key is not None
    if settings.chain_id != POLYGON:
        return failed("wallet", f"CHAIN_ID {settings.chain_id}", f"the client knows {POLYGON} alone")
    try:
        key_file = importlib.import_module("eth_account")
        wallet = importlib.import_module("polymarket._internal.wallet")
        config = importlib.import_module("polymarket.environments").PRODUCTION._config.wallet_derivation
    except (ImportError, AttributeError) as error:
        return failed("wallet", f"the client cannot be used: {error}", "install the pinned polymarket-client")
    try:
        signer = key_file.Account.from_key(settings.private_key.get_secret_value())
    except Exception:  # noqa: BLE001 (whatever it is, its text may hold the key)
        return failed(
            "wallet", "PRIVATE_KEY is no private key", "set 64 hexadecimal digits, 0x before them or not"
        )
    derive = {
        "DEPOSIT_WALLET": wallet.derive_beacon_deposit_wallet_address,
        "DEPOSIT_WALLET (older)": wallet.derive_uups_deposit_wallet_address,
        "POLY_PROXY": wallet.derive_proxy_wallet_address,
        "GNOSIS_SAFE": wallet.derive_safe_wallet_address,
    }
    found = [Wallet("EOA", wallet.signature_type_for("EOA"), signer.address)]
    for kind, address_of in derive.items():
        number = wallet.signature_type_for(kind.split(" ")[0])
        found.append(Wallet(kind, number, address_of(signer.address, config)))
    return Account(signer, tuple(found))


def chosen_wallet(settings: Settings, account: Account) -> Wallet | None:
    """Return which of the signer's wallets WALLET_ADDRESS is; None where it is none of them, or not set."""
    wanted = (settings.wallet_address or "").lower()
    return next((wallet for wallet in account.wallets if wallet.address.lower() == wanted), None)


def address_line(settings: Settings, account: Account) -> Line:
    """See whether the private key may trade for the wallet that is set, and by which signature type."""
    wrong = warned if settings.dry_run else failed
    theirs = ", ".join(f"{wallet.address} ({wallet.kind})" for wallet in account.wallets)
    if settings.wallet_address is None:
        if settings.dry_run:
            return passed("wallet address", "none set: paper needs none")
        return failed("wallet address", "WALLET_ADDRESS is not set", f"set the one with the money: {theirs}")
    wallet = chosen_wallet(settings, account)
    if wallet is None:
        what = f"{settings.wallet_address} does not follow from PRIVATE_KEY"
        return wrong("wallet address", what, f"set the one with the money: {theirs}")
    return passed(
        "wallet address", f"{wallet.address}: {wallet.kind}, signature type {wallet.signature_type}"
    )


async def account_lines(settings: Settings, client: httpx.AsyncClient, clob_host: str) -> list[Line]:
    """Look at everything that the keys make possible to look at."""
    lines = key_lines(settings)
    if settings.private_key is None:
        return lines
    account = account_of(settings)
    if isinstance(account, Line):
        return [*lines, account]
    lines.append(passed("wallet", f"PRIVATE_KEY signs for {account.signer.address}"))
    lines.append(address_line(settings, account))
    if not has_all_keys(settings):
        return lines
    desk = AccountDesk(settings, client, clob_host, account)
    keys = await desk.keys_line()
    lines.append(keys)
    return lines if keys.state == "fail" else [*lines, *await desk.money_lines()]


class AccountDesk:
    """Asks the exchange about one account."""

    def __init__(
        self, settings: Settings, client: httpx.AsyncClient, clob_host: str, account: Account
    ) -> None:
        self._settings = settings
        self._client = client
        self._host = clob_host.rstrip("/")
        self._account = account

    async def keys_line(self) -> Line:
        """See whether the exchange knows these API credentials, and as this signer's."""
        answer = await self._get(KEYS_PATH)
        if isinstance(answer, str):
            return failed("api key", f"not checked: {answer}", "see whether CLOB_HOST can be reached")
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            return failed("api key", await self._whose(), "derive the credentials anew from PRIVATE_KEY")
        try:
            known = from_json(answer.content, _KeyList).keys
        except DecodingError:
            return failed("api key", f"not checked: HTTP {answer.status_code}", "see the venue's status page")
        assert self._settings.api_key is not None
        if self._settings.api_key.get_secret_value() not in known:
            return failed("api key", await self._whose(), "derive the credentials anew from PRIVATE_KEY")
        return passed("api key", "the exchange knows it as this signer's")

    async def _whose(self) -> str:
        """Ask which API key belongs to the private key; tell only whether it is the one that is set."""
        sign = importlib.import_module("polymarket._internal.l1_auth").sign_api_key_auth
        told = sign(self._account.signer, chain_id=self._settings.chain_id, timestamp=int(time.time()))
        headers = importlib.import_module("polymarket._internal.actions.auth").build_l1_auth_headers(told)
        answer = await _ask(self._client, self._host + DERIVE_PATH, headers)
        refused = "the exchange refuses the API credentials"
        if isinstance(answer, str) or answer.status_code != httpx.codes.OK:
            return refused
        try:
            derived = from_json(answer.content, _Keys).key
        except DecodingError:
            return refused
        assert self._settings.api_key is not None
        if derived == self._settings.api_key.get_secret_value():
            return f"{refused}: API_KEY is this signer's, secret or passphrase are not"
        return f"{refused}: API_KEY is not this signer's"

    async def money_lines(self) -> list[Line]:
        """Find the wallet that holds the money: the balance of a wrong signature type reads 0."""
        told: list[tuple[Wallet, Balance]] = []
        for wallet in self._account.wallets:
            if any(wallet.signature_type == other.signature_type for other, _ in told):
                continue
            balance = await self._balance(wallet)
            if isinstance(balance, str):
                return [
                    failed("balance", f"not told for {wallet.kind}: {balance}", "see the venue's status page")
                ]
            told.append((wallet, balance))
        wallet, richest = max(told, key=lambda pair: _dollars(pair[1].balance))
        if not _dollars(richest.balance):
            return [
                warned(
                    "signature type", "no wallet of this signer holds anything", "deposit, or change the key"
                ),
                warned("balance", "$0.00", "deposit before you go live"),
            ]
        chosen = chosen_wallet(self._settings, self._account)
        if chosen is None:
            return [self._type_line(wallet), *self._balance_lines(richest)]
        held = next(balance for other, balance in told if other.signature_type == chosen.signature_type)
        if _dollars(held.balance):
            return [self._type_line(chosen), *self._balance_lines(held)]
        what = (
            f"{chosen.signature_type}: WALLET_ADDRESS is the {chosen.kind}, the money is in the {wallet.kind}"
        )
        type_line = warned("signature type", what, "set WALLET_ADDRESS to the wallet that holds the money")
        return [type_line, *self._balance_lines(held)]

    def _type_line(self, wallet: Wallet) -> Line:
        kind = f"{wallet.signature_type}: the money is in the {wallet.kind}"
        addresses = [w.address for w in self._account.wallets if w.signature_type == wallet.signature_type]
        return passed("signature type", f"{kind} ({' or '.join(addresses)})")

    def _balance_lines(self, held: Balance) -> list[Line]:
        dollars = _dollars(held.balance)
        needed = self._settings.quote_size_usd
        if dollars < needed:
            line = warned("balance", f"${dollars:,.2f}, one order takes ${needed:,.2f}", "deposit more")
        else:
            line = passed("balance", f"${dollars:,.2f}")
        return [line, _allowance(held, needed)]

    async def _balance(self, wallet: Wallet) -> Balance | str:
        query = f"?asset_type=COLLATERAL&signature_type={wallet.signature_type}"
        answer = await self._get(BALANCE_PATH, query)
        if isinstance(answer, str):
            return answer
        if answer.status_code != httpx.codes.OK:
            return f"HTTP {answer.status_code}"
        try:
            balance = from_json(answer.content, Balance, strict=False)
            _dollars(balance.balance)
        except (DecodingError, ValueError):
            return "not understood"
        return balance

    async def _get(self, path: str, query: str = "") -> httpx.Response | str:
        """Ask, signed by the API secret; the query is not part of what is signed (protocol sheet, 5)."""
        settings = self._settings
        assert settings.api_key is not None
        assert settings.api_secret is not None
        assert settings.api_passphrase is not None
        at_s = int(time.time())
        sign = importlib.import_module("polymarket._internal.hmac").build_hmac_signature
        try:
            signature = sign(
                secret=settings.api_secret.get_secret_value(), timestamp=at_s, method="GET", path=path
            )
        except Exception:  # noqa: BLE001 (the client's own errors; whatever it is, its text may hold the secret)
            return "API_SECRET is not base64"
        headers = {
            "POLY_ADDRESS": self._account.signer.address,
            "POLY_API_KEY": settings.api_key.get_secret_value(),
            "POLY_PASSPHRASE": settings.api_passphrase.get_secret_value(),
            "POLY_SIGNATURE": signature,
            "POLY_TIMESTAMP": str(at_s),
        }
        return await _ask(self._client, f"{self._host}{path}{query}", headers)


async def _ask(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> httpx.Response | str:
    """Ask once. No redirect is followed: keys are for the address that was set."""
    try:
        request = client.build_request("GET", url, headers=headers, timeout=ANSWER_S)
        return await client.send(request, follow_redirects=False)
    except (*FAILURES, UnicodeError, ValueError) as error:
        return type(error).__name__


def _allowance(told: Balance, needed: float) -> Line:
    if not told.allowances:
        return warned(
            "allowance", "the exchange told none", "approve the exchange's contracts before you go live"
        )
    try:
        short = [spender for spender, amount in told.allowances.items() if _dollars(amount) < needed]
    except ValueError:
        return warned("allowance", "not understood", "look at it on the venue's site")
    if short:
        names = ", ".join(spender[:10] for spender in short)
        return warned("allowance", f"under ${needed:,.2f} for {names}", "approve the exchange's contracts")
    return passed("allowance", f"enough for {counted(len(told.allowances), 'contract')}")


def _dollars(units: str) -> float:
    """Return dollars of millionths.

    Raises:
        ValueError: It is no number of them; a contract's 256 bits are 78 digits.
    """
    if len(units) > UNITS_MOST:
        raise ValueError("too many digits")
    return int(units) / ONE_E6
