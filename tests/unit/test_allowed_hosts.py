"""The Host headers that a gateway answers to."""

import pytest

from services.tmf_gateway.domain.allowed_hosts import AllowedHosts

BY_DEFAULT = AllowedHosts("https://api.example.com/billing")
NAMED = AllowedHosts("https://api.example.com", ["crm.example.com", "*.svc.cluster.local"])
OWN = ("api.example.com", "API.example.com:8443", "api.example.com.", "localhost", "localhost:8096", "tmf_gateway:8096")
ADDRESSES = ("127.0.0.1", "[::1]:8096", "10.1.2.3:80")
STRANGE = ("example.com", "evil.com", "127.0.0.1.evil.com", "api.example.com@evil.com")
NO_HOST = (None, "", "evil.com:x", "evil.com:99999", "a.b/c", "a.b?c", ":80", "[")


@pytest.mark.parametrize("host", [*OWN, *ADDRESSES])
def test_without_settings_the_public_host_addresses_and_local_names_are_answered(host):
    assert BY_DEFAULT.takes(host)


@pytest.mark.parametrize("host", [*STRANGE, *NO_HOST])
def test_any_other_host_is_not(host):
    assert not BY_DEFAULT.takes(host)


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("crm.example.com", True),
        ("gateway.svc.cluster.local", True),
        ("svc.cluster.local", False),
        ("api.example.com", False),
        ("localhost", False),
    ],
)
def test_named_hosts_are_answered_alone(host, taken):
    assert NAMED.takes(host) is taken
    assert AllowedHosts("https://api.example.com", ["*"]).takes(host)
