"""Which addresses a hub callback may lead to, and which URL an event goes to."""

from ipaddress import ip_address, ip_network

import pytest

from libs.callback_addresses import refusal
from services.notifications.domain.callback import CallbackRefused, delivery_url


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("::ffff:10.0.0.1", "private"),
        ("fd00::1", "private"),
        ("fec0::1", "site-local"),
        ("100.64.0.1", "carriers"),
        ("100.127.255.255", "carriers"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "private"),
        ("240.0.0.1", "private"),
        ("192.0.2.1", "private"),
        ("0.1.2.3", "private"),
        ("::127.0.0.1", "not a public"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::", "link-local"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a00:1", "private"),
    ],
)
def test_an_address_of_the_inside_is_refused(address, kind):
    assert kind in refusal(ip_address(address), [])


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.32.0.1", "100.63.255.255", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"],
)
def test_a_public_address_is_allowed(address):
    assert refusal(ip_address(address), []) is None


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::ffff:127.0.0.1", True), ("::1", False), ("10.0.0.1", False)],
)
def test_an_allowed_network_opens_itself_and_nothing_else(address, allowed):
    assert (refusal(ip_address(address), [ip_network("127.0.0.0/8")]) is None) == allowed


@pytest.mark.parametrize(
    ("callback", "url"),
    [
        ("http://crm.example", "http://crm.example/listener/customerBillCreateEvent"),
        ("https://crm.example:8443/tmf/", "https://crm.example:8443/tmf/listener/customerBillCreateEvent"),
        ("https://crm.example/tmf?tenant=1", "https://crm.example/tmf/listener/customerBillCreateEvent?tenant=1"),
        ("http://[2606:4700::1111]/x", "http://[2606:4700::1111]/x/listener/customerBillCreateEvent"),
    ],
)
def test_an_event_goes_to_the_listener_of_its_type(callback, url):
    assert delivery_url(callback, "CustomerBillCreateEvent", verbatim=False) == url


def test_a_verbatim_callback_is_called_as_it_is():
    assert delivery_url("https://crm.example/in?x=1", "CustomerBillCreateEvent", verbatim=True) == "https://crm.example/in?x=1"


@pytest.mark.parametrize(
    "callback",
    ["", "crm.example", "ftp://crm.example", "file:///etc/passwd", "http://", "http://a:b@crm.example", "http://x:port/", "http://[::1"],
)
def test_what_is_not_a_plain_http_url_is_refused(callback):
    with pytest.raises(CallbackRefused):
        delivery_url(callback, "X", verbatim=False)
