"""Proxies and certificates: the same for tokens, logs and files, and told plainly if they fail."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
import trustme

from tests.support.account import Account
from tests.support.cli import Run
from tests.support.recordings import files
from tests.support.tls import Gate, Proxy, gate, tls

Patch: TypeAlias = pytest.MonkeyPatch

USER, PASSWORD = "jane.doe", "s3cret-of-the-proxy"
OWN = ["127.0.0.1", "localhost"]


@pytest.fixture(autouse=True)
def plain_surroundings(plain_network: None) -> None:
    """Clear them before any fixture sets them."""


class Bundles:
    """Files of certificate authorities: own, other, and junk."""

    authority = trustme.CA()

    def __init__(self, folder: Path, patch: Patch) -> None:
        self._folder, self._patch = folder, patch
        self.authority.cert_pem.write_to_path(str(folder / "own.pem"))
        trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
        (folder / "junk.pem").write_text("no certificate")

    def use(self, name: str) -> None:
        self._patch.setenv("REQUESTS_CA_BUNDLE", str(self._folder / f"{name}.pem"))


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: Patch) -> Bundles:
    return Bundles(tmp_path, monkeypatch)


@pytest.fixture
def fronts(box: Account, bundles: Bundles) -> Iterator[tuple[Gate, Gate]]:
    """Put the two services of an account behind TLS, by names of their own: accounts and voice."""
    bundles.use("own")
    context = tls(bundles.authority, *OWN)
    with gate(box, context) as accounts, gate(box, context) as voice:
        box.own["accounts_url"] = f"https://127.0.0.1:{accounts.port}"
        box.own["api_url"] = f"https://localhost:{voice.port}"
        yield accounts, voice


def set_proxy(monkeypatch: Patch, proxy: Proxy, no_proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", no_proxy)


@pytest.mark.parametrize("no_proxy", ["", "localhost", "localhost,127.0.0.1"])
def test_tokens_logs_and_files_come_through_the_proxy(
    box: Account, fronts: tuple[Gate, Gate], monkeypatch: Patch, tmp_path: Path, no_proxy: str
) -> None:
    with Proxy() as proxy:
        set_proxy(monkeypatch, proxy, no_proxy)
        run = box.read(recordings_path=str(tmp_path / "files"))
    assert files(tmp_path / "files")
    assert not [row for row in run.rows("recordings") if row["error"]]
    assert Counter(proxy.tunnels) == {
        f"{host}:{front.port}": front.opened
        for host, front in zip(OWN, fronts, strict=True)
        if host not in no_proxy
    }
    assert (fronts[0].opened, fronts[1].opened > 0) == (1, True)
    assert all(any("Proxy-Authorization" in line for line in head) for head in proxy.asked)
    # The proxy is told where to, and nothing of what is asked for there.
    secrets = [box.config["client_secret"], box.config["refresh_token"], "Zoho-oauthtoken"]
    assert not [text for text in secrets if text in str(proxy.asked)]
    assert PASSWORD not in run.log


def assert_told_once(run: Run, line: str, *private: str) -> None:
    """Check that a run failed with one plain line, which is the only complaint."""
    assert run.exit_code == 1
    (error,) = run.lines(r"\| ERROR +\| tap-zohovoice")
    assert line in error
    assert not [text for text in ("Traceback", USER, PASSWORD, *private) if text in run.log]


TODAY = dt.datetime.now(dt.UTC)
PAST = {"not_before": TODAY - dt.timedelta(365), "not_after": TODAY - dt.timedelta(7)}
COMING = {"not_before": TODAY + dt.timedelta(7), "not_after": TODAY + dt.timedelta(365)}
NOT_TRUSTED = " the server's certificate is not trusted"
CERTIFICATES: list[tuple[list[str], dict[str, Any], str | None, str]] = [
    (OWN, {}, None, "certificate); if a proxy intercepts TLS, set the file with its"),
    (OWN, {}, "other", "certificate authority in REQUESTS_CA_BUNDLE, else check {}"),
    (OWN, {}, "junk", f"{NOT_TRUSTED} (NO_CERTIFICATE_OR_CRL_FOUND); if a proxy"),
    (OWN, {}, "missing", " named by REQUESTS_CA_BUNDLE cannot be read"),
    (["127.0.0.2", "example.org"], {}, "own", "mismatch, certificate is not valid for '"),
    ([], {}, None, " the server does not support TLS; check {}"),
    (OWN, PAST, "own", f"{NOT_TRUSTED} (certificate has expired); if"),
    (OWN, COMING, "own", "(certificate is not yet valid); if a proxy"),
]


@pytest.mark.parametrize("setting", ["accounts_url", "api_url"])
@pytest.mark.parametrize(("names", "validity", "bundle", "line"), CERTIFICATES)
def test_unusable_certificate_is_told(
    box: Account, bundles: Bundles, setting: str, names: Any, validity: Any, bundle: Any, line: str
) -> None:
    if bundle:
        bundles.use(bundle)
    with gate(box, tls(bundles.authority, *(names or OWN), **validity)) as secured:
        host = "localhost" if setting == "api_url" else "127.0.0.1"
        url = f"https://{host}:{secured.port if names else urlsplit(box.url).port}"
        run = box.run(**{setting: url})
    assert_told_once(run, line.format(setting))
    assert f"Zoho {'Voice' if setting == 'api_url' else 'Accounts'}: the " in run.log
    assert not box.clock.slept  # to ask again would be of no use


REFUSAL = " the proxy refused the connection"
REFUSALS = [
    ("407 Authentication Required", f"{REFUSAL} (HTTP 407); check HTTPS_PROXY (http://user:", 1),
    ("403 Forbidden", f"{REFUSAL} (HTTP 403); check HTTPS_PROXY", 1),
    ("502 Bad Gateway", f"{REFUSAL} (HTTP 502); check HTTPS_PROXY", 14),
]


@pytest.mark.parametrize("service", ["accounts", "voice"])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_refusal_of_a_proxy_is_told(
    box: Account, fronts: tuple[Gate, Gate], monkeypatch: Patch, service: str, refusal: Any
) -> None:
    answer, line, asked = refusal
    with Proxy(answer) as proxy:
        set_proxy(monkeypatch, proxy, "127.0.0.1" if service == "voice" else "")
        run = box.run()
    assert len(proxy.tunnels) == (asked if service == "voice" else min(asked, 7))
    assert not fronts[1].opened
    assert_told_once(run, f"Zoho {service.title()}:{line}")


HIDDEN = f"{USER}:{PASSWORD}@"
PROXIES = [
    (f"http://{HIDDEN}127.0.0.1:1", " the proxy cannot be reached; check HTTPS_PROXY", True),
    *[
        (url, " HTTPS_PROXY is invalid; use http://host:port; for a SOCKS proxy, inst", False)
        for url in (
            *("http://", f"http://{HIDDEN}127.0.0.1:99999", f"http://{HIDDEN}proxy..invalid:1"),
            *(f"http://{HIDDEN}", f"http://{USER}:{PASSWORD}%E2%82%AC@127.0.0.1:1"),
            *(f"ftp://{HIDDEN}127.0.0.1:1", f"socks5://{HIDDEN}127.0.0.1:1"),
        )
    ],
]
LINES = [told[-1] for told in CERTIFICATES] + [told[1] for told in (*REFUSALS, *PROXIES)]


@pytest.mark.parametrize(("url", "line", "waits"), PROXIES)
@pytest.mark.parametrize("setting", ["accounts_url", "api_url"])
def test_unusable_proxy_is_told_without_its_password(
    box: Account, monkeypatch: Patch, setting: str, url: str, line: str, waits: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    run = box.run(**{setting: "https://zoho.example.invalid"})
    assert_told_once(run, line, "example.invalid")
    assert bool(box.clock.slept) == waits
