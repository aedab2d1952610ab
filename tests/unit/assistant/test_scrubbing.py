"""Personal data that must go, and what only looks like it and must stay."""

import pytest

from assistant.scrubbing import Scrubber


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Write to Ada.L+x@Example.co.uk, please.", "Write to [EMAIL_1], please."),
        ("<mailto:müller@exämple.de>", "<mailto:[EMAIL_1]>"),
        ("+49 (0)171 1234567", "[PHONE_1]"),
        ("call 0171/1234567 or (555) 123-4567.", "call [PHONE_1] or [PHONE_2]."),
        ("01 23 45 67 89", "[PHONE_1]"),
        ("1-800-555-0199", "[PHONE_1]"),
        ("http://192.168.1.10:8080/", "http://[IP_1]:8080/"),
        ("at 10.0.0.1.", "at [IP_1]."),
        ("2001:db8::8a2e:370:7334, ::1", "[IP_1], [IP_2]"),
        ("4111 1111 1111 1111 123", "[CARD_1] 123"),
        ("378282246310005", "[CARD_1]"),
        ("DE89 3704 0044 0532 0130 00 BANK", "[IBAN_1] BANK"),
        ("gb82west12345698765432.", "[IBAN_1]."),
        ("key sk-proj-abcdefghij0123456789", "key [SECRET_1]"),
        ("hg-AbCdefghijklmnopqrstuvwxyz_0123456789", "[SECRET_1]"),
        ("AKIAIOSFODNN7EXAMPLE", "[SECRET_1]"),
        ("postgres://ada:s3cret@host/name", "postgres://[SECRET_1]@host/name"),
        ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: Bearer [SECRET_1]"),
        ('"password": "correcthorse"', '"password": "[SECRET_1]"'),
        ("My password is hunter22", "My password is [SECRET_1]"),
        ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", "[SECRET_1]"),
        ("u8Kd02mfPqLx77VbnA91sReTzYw3QhGc", "[SECRET_1]"),
    ],
)
def test_personal_data_goes(text: str, scrubbed: str) -> None:
    assert Scrubber().scrub(text) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "On 2026-11-21 at 09:30, 01.12.2026 12:30 and 01-12-2026, between 1990-2000",
        "Pi is 3.14159265358979323846, and 0.1234567890 is less",
        "1,234,567,890 people, 100000000000 stars, 12345678901234567890",
        "4111 1111 1111 1112 fails its check digit, 0000 0000 0000 0000 is no card",
        "ISBN 978-3-16-148410-0",
        "std::vector<a::b> at 12:30:45 in version 10.1.2",
        "@ada, x@y, a @ b.c",
        "the token limit is lower, and the password is required",
        "01a2006d1c27743b962ace3b612b0145",
        "0000000000000000000000000000000000000000000000000000000000000000.png",
        "2 + 2 = 4, 4 5 6 7 8, room 0815",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert Scrubber().scrub(text) == text


def test_one_value_keeps_its_number_however_it_is_written_and_wherever() -> None:
    row = {
        "prompt": [{"role": "user", "content": "a@b.org, B@c.org"}],
        "completion": [{"arguments": {"to": ["A@B.ORG"], "n": 1}}, "4111-1111-1111-1111 or 4111111111111111"],
        "label": True,
    }
    assert Scrubber().scrub(row) == {
        "prompt": [{"role": "user", "content": "[EMAIL_1], [EMAIL_2]"}],
        "completion": [{"arguments": {"to": ["[EMAIL_1]"], "n": 1}}, "[CARD_1] or [CARD_1]"],
        "label": True,
    }
    assert Scrubber().scrub("b@c.org") == "[EMAIL_1]"
