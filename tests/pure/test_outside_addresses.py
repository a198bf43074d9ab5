"""Which places a coordinator calls for its callers, read from their URLs."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, strategies as st

from coordinator.outside.addresses import NOTHING_ALLOWED, allowed, is_public, may_call
from coordinator.outside.targets import BadUrlError, refused_at_once, target_of
from shared.errors import RequestError

PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")
PRIVATE = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200",
    "169.254.169.254", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:0:7f00:1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254",
    "ff02::1", "ff0e::1", "100::1", "2001::1", "2001:0:808:808::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_no_other_address_may(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not may_call("example.com", 443, ip_address(address), NOTHING_ALLOWED)


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_as_public_as_in_every_form_that_hides_it(number: int) -> None:
    plain = is_public(IPv4Address(number))
    for high in (0xFFFF << 32, 0x64FF9B << 96):
        assert is_public(IPv6Address(high | number)) == plain
    assert is_public(IPv6Address(0x2002 << 112 | number << 80)) <= plain
    assert plain <= IPv4Address(number).is_global


@given(st.integers(0, 2**128 - 1))
def test_nothing_is_public_that_the_registry_of_addresses_does_not_call_so(number: int) -> None:
    address = IPv6Address(number)
    assert is_public(address) <= (address.is_global and not address.is_multicast)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.1", "0x7f.1", "0", "１２７.０.０.１",
        "①②⑦.0.0.1", "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "[64:ff9b::7f00:1]",
        "localhost", "LOCALHOST.", "a.localhost", "localhost.localdomain", "10.0.0.1", "[fd00::1]", "169.254.169.254",
        "[2002:a9fe:a9fe::]",
    ],
)  # fmt: skip
def test_a_literal_address_that_is_not_public_is_refused_at_once(host: str) -> None:
    assert refused_at_once(target_of(f"http://{host}/hook"), NOTHING_ALLOWED) == "names an address that is not public"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.com/", "https://"),
        ("//example.com/", "https://"),
        ("example.com", "https://"),
        ("https:///hook", "no host"),
        ("https://", "no host"),
        ("https://user@example.com/", "user name"),
        ("https://user:secret@example.com/", "user name"),
        ("https://@127.0.0.1/", "user name"),
        ("https://example.com\\@127.0.0.1/", "backslashes"),
        ("https://example.com/a b", "spaces"),
        ("https://exam\tple.com/", "control"),
        ("https://example.com\r\nx: y", "control"),
        ("https://[fe80::1%25eth0]/", "zone"),
        ("https://[fe80::1%eth0]/", "zone"),
        ("https://[::1", "no URL"),
        ("https://[nonsense]/", "no"),
        ("https://1.2.3.4.5/", "none"),
        ("https://256.1.1.1/", "none"),
        ("https://0x/", "none"),
        ("https://a..b/", "no host"),
        ("https://exa%6dple.com/", "no host"),
        ("https://example.com:99999/", "no URL"),
        ("https://example.com:http/", "no URL"),
        ("https://" + "a" * 64 + ".com/", "no host"),
        ("https://example.com/" + "a" * 2048, "longer"),
    ],
)
def test_what_is_no_good_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(BadUrlError, match=says):
        target_of(url)


@pytest.mark.parametrize("port", [0, 1, 22, 25, 110, 143, 445, 1023])
def test_a_public_host_is_not_called_at_the_ports_of_other_protocols(port: int) -> None:
    target = target_of(f"https://example.com:{port}/")
    assert "names port" in (refused_at_once(target, NOTHING_ALLOWED) or "")
    assert not may_call("example.com", port, ip_address("8.8.8.8"), NOTHING_ALLOWED)


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://Example.COM", "example.com", "/"),
        ("https://example.com.:443/a?b=c#d", "example.com", "/a?b=c"),
        ("http://example.com:8080?x", "example.com:8080", "/?x"),
        ("https://bücher.example/ü?q=ü", "xn--bcher-kva.example", "/%C3%BC?q=%C3%BC"),
        ("https://[2606:4700::1111]:8443/%20", "[2606:4700::1111]:8443", "/%20"),
        ("https://134744072/", "8.8.8.8", "/"),
    ],
)
def test_a_url_is_read_into_what_is_sent(url: str, authority: str, path: str) -> None:
    target = target_of(url)
    assert (target.authority, target.path) == (authority, path)
    assert refused_at_once(target, NOTHING_ALLOWED) is None


def test_the_operator_allows_blocks_with_any_port_and_places_with_one() -> None:
    allow = allowed(["10.0.0.0/8", " fd00::/8 ", "[2001:db8::5]", "Hooks.LAN:8080", "127.0.0.1:9000", "[::1]:9001", ""])
    assert may_call("any.example", 25, ip_address("10.1.2.3"), allow)
    assert may_call("any.example", 80, ip_address("::ffff:10.1.2.3"), allow)
    assert may_call("any.example", 80, ip_address("fd12::1"), allow)
    assert may_call("hooks.lan", 8080, ip_address("192.168.0.1"), allow)
    assert not may_call("hooks.lan", 8081, ip_address("192.168.0.1"), allow)
    assert may_call("localhost", 9000, ip_address("127.0.0.1"), allow)
    assert not may_call("localhost", 9001, ip_address("127.0.0.1"), allow)
    assert refused_at_once(target_of("http://[::1]:9001/"), allow) is None
    assert refused_at_once(target_of("http://0x7f.1:9000/"), allow) is None
    assert refused_at_once(target_of("http://localhost:9000/"), allow) is None
    assert refused_at_once(target_of("http://localhost:9002/"), allow) is not None
    assert refused_at_once(target_of("http://11.0.0.1:25/"), allow) is not None


def test_where_the_public_is_not_wanted_only_the_operators_own_places_may_be_called() -> None:
    allow = allowed(["10.0.0.0/8"])
    assert not may_call("example.com", 80, ip_address("8.8.8.8"), allow, public=False)
    assert may_call("files.lan", 80, ip_address("10.0.0.5"), allow, public=False)


@pytest.mark.parametrize("entry", ["hooks.lan", "hooks.lan:", "hooks.lan:0", "hooks.lan:70000", ":80", "10.0.0.0/33"])
def test_an_entry_that_is_neither_block_nor_place_is_named(entry: str) -> None:
    with pytest.raises(RequestError, match="HIVE_CALLBACK_ALLOW"):
        allowed([entry])
