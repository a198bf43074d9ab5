"""What tells a number that names a person or an account from any other number: lengths, ranges and check digits."""

from ipaddress import ip_address
from typing import Final

IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an IBAN by country, as ISO 13616's registry has them."""

_UNUSED_CALLING_CODES: Final = ("28", "83", "89")
_NIE: Final = str.maketrans("XYZ", "012")
_DNI: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_ODD: Final = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22,
         25, 24, 23), strict=True)
)  # fmt: skip
_GLOBAL_UNICAST: Final = 0b001
_EVERYBODYS: Final = frozenset({"1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "208.67.222.222"})


def is_card(digits: str) -> bool:
    """Whether these digits are a payment card's: an issuer's prefix, its length, and Luhn's check digit."""
    head2, head4 = int(digits[:2]), int(digits[:4])
    match len(digits):
        case 14:
            known = head2 in (36, 38) or 3000 <= head4 <= 3059
        case 15:
            known = head2 in (34, 37)
        case 16:
            known = (
                digits[0] == "4" or 51 <= head2 <= 55 or 2221 <= head4 <= 2720 or head2 in (35, 62, 65)
                or head4 == 6011 or 6440 <= head4 <= 6499
            )  # fmt: skip
        case 19:
            known = digits[0] == "4" or head2 == 62
        case _:
            known = False
    return known and _luhn(digits)


def is_iban(text: str) -> bool:
    """Whether a text (capitals, no spaces) is an IBAN: the length of its country, and ISO 7064's MOD 97-10."""
    if len(text) != IBAN_LENGTHS.get(text[:2]):
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def is_phone(digits: str) -> bool:
    """Whether these digits are a number in E.164's form: a calling code that is given out, and as many as it has."""
    if digits[0] == "1":
        return len(digits) == 11 and digits[1] > "1" and digits[4] > "1"
    if digits[0] == "7":
        return len(digits) == 11
    return 9 <= len(digits) <= 15 and digits[:2] not in _UNUSED_CALLING_CODES


def is_public_address(text: str) -> bool:
    """Whether this is an IP address on the internet that may lead to somebody."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if text in _EVERYBODYS or not address.is_global or address.is_multicast:
        return False
    return address.version == 4 or int(address) >> 125 == _GLOBAL_UNICAST


def is_ssn(area: str, group: str, serial: str) -> bool:
    """Whether a US social security number of these parts was ever given out."""
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def is_nir(text: str) -> bool:
    """Whether these 15 characters are a French social security number: its month and its key modulo 97."""
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdecimal() and 1 <= int(text[3:5]) <= 12 and 97 - int(number) % 97 == int(text[13:])


def is_dni(text: str) -> bool:
    """Whether a text is a Spanish DNI or NIE: its letter is that of its number modulo 23."""
    return _DNI[int(text[:-1].translate(_NIE)) % 23] == text[-1]


def is_codice_fiscale(text: str) -> bool:
    """Whether these 16 characters are an Italian tax code: its last letter checks the others."""
    odd = sum(_ODD[char] for char in text[:15:2])
    even = sum(int(char) if char.isdecimal() else ord(char) - 65 for char in text[1:15:2])
    return chr((odd + even) % 26 + 65) == text[15]


def is_cpf(digits: str) -> bool:
    """Whether these 11 digits are a Brazilian CPF: two check digits, and not one digit all along."""
    numbers = [int(digit) for digit in digits]
    for length in (9, 10):
        total = sum(number * weight for number, weight in zip(numbers, range(length + 1, 1, -1), strict=False))
        if numbers[length] != total * 10 % 11 % 10:
            return False
    return len(set(numbers)) > 1


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    return (
        sum(int(digit) for digit in digits[-1::-2]) + sum(number - 9 * (number > 9) for number in doubled)
    ) % 10 == 0
