"""The currencies that money is kept in, by their ISO 4217 codes. Three capitals that are none were mistyped."""

from __future__ import annotations

from app.core.errors import InvalidInput

# ISO 4217, list one, as of January 2026: what is tender somewhere (by Unicode CLDR, in Babel 2.19.0, with SVC and VED).
# No metals, funds, accounting units or codes for tests. A newer code is added here.
_TENDER = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF
SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU
UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
# What a Shopify shop can still have for its currency (`CurrencyCode` of its API 2026-10): withdrawn, or of no state.
_OF_SHOPS = frozenset({"ANG", "BGN", "JEP", "KID", "SLL"})
CURRENCIES = frozenset(_TENDER.split()) | _OF_SHOPS


def check_currency(code: str) -> None:
    """Refuse what is no currency; raises InvalidInput (`bad_currency`)."""
    if code not in CURRENCIES:
        raise InvalidInput("bad_currency", "the ISO 4217 code of a currency, such as EUR", where="currency")


def known_or_dollar(code: str) -> str:
    """A shop's own word for its currency; `USD` for what is none, which must not keep the shop from being connected."""
    return code if code in CURRENCIES else "USD"
