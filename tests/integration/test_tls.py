"""Proxies and certificates: the same for tokens, logs and files, and told plainly if they fail."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from tests.support.calls import assert_once, history, server_ids
from tests.support.cli import FakeClock, Run, RunTap
from tests.support.folders import files
from tests.support.tls import Gate, Proxy, gate, tls
from zoho_voice_sandbox import Sandbox

USER, PASSWORD = "jane.doe", "s3cret-of-the-proxy"
OWN = ["127.0.0.1", "localhost"]


@pytest.fixture(autouse=True)
def plain_surroundings(plain_network: None) -> None:
    """Clear them before any fixture sets them."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def box(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(history=history(40), clock=clock) as running:
        yield running


@dataclass
class Fronts:
    """The two services behind TLS, by names of their own."""

    accounts: Gate
    voice: Gate
    config: dict[str, Any]


@pytest.fixture
def fronts(
    box: Sandbox, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fronts]:
    authority.cert_pem.write_to_path(str(tmp_path / "own.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "own.pem"))
    context = tls(authority, *OWN)
    with gate(box, context) as accounts, gate(box, context) as voice:
        urls = {
            "accounts_url": f"https://127.0.0.1:{accounts.port}",
            "api_url": f"https://localhost:{voice.port}",
        }
        yield Fronts(accounts, voice, {**box.config, **urls})


def set_proxy(monkeypatch: pytest.MonkeyPatch, proxy: Proxy, no_proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", no_proxy)


@pytest.mark.parametrize("no_proxy", ["", "localhost", "localhost,127.0.0.1"])
def test_tokens_logs_and_files_come_by_tls_through_the_proxy(
    run_tap: RunTap,
    box: Sandbox,
    fronts: Fronts,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    no_proxy: str,
) -> None:
    with Proxy() as proxy:
        set_proxy(monkeypatch, proxy, no_proxy)
        run = run_tap({**fronts.config, "recordings_path": str(tmp_path / "files")})
    assert_once(run, server_ids(box))
    assert files(tmp_path / "files")
    assert not [row for row in run.rows("recordings") if row["error"]]
    opened = {"127.0.0.1": fronts.accounts, "localhost": fronts.voice}
    assert Counter(proxy.tunnels) == {
        f"{host}:{front.port}": front.opened
        for host, front in opened.items()
        if host not in no_proxy
    }
    assert (fronts.accounts.opened, fronts.voice.opened > 0) == (1, True)
    assert all(any("Proxy-Authorization" in line for line in head) for head in proxy.asked)
    # The proxy is told where to, and nothing of what is asked for there.
    secrets = [box.config["client_secret"], box.config["refresh_token"], "Zoho-oauthtoken"]
    assert not [text for text in secrets if text in str(proxy.asked)]
    assert PASSWORD not in run.log


def assert_told_once(run: Run, line: str, *private: str) -> None:
    """Check that a run failed with one plain line, which is the only complaint."""
    assert run.exit_code == 1
    complaints = [text for text in run.log.splitlines() if "| ERROR    | tap-zohovoice" in text]
    assert len(complaints) == 1, run.log
    assert line in complaints[0]
    assert "Traceback" not in run.log
    assert not [text for text in (USER, PASSWORD, *private) if text in run.log]


TODAY = dt.datetime.now(dt.UTC)
PAST = {"not_before": TODAY - dt.timedelta(365), "not_after": TODAY - dt.timedelta(7)}
COMING = {"not_before": TODAY + dt.timedelta(7), "not_after": TODAY + dt.timedelta(365)}


@pytest.mark.parametrize(
    ("setting", "host"), [("accounts_url", "127.0.0.1"), ("api_url", "localhost")]
)
@pytest.mark.parametrize(
    ("names", "validity", "bundled", "line"),
    [
        (OWN, {}, None, "is not trusted; if a proxy intercepts TLS, set"),
        (OWN, {}, "other", "certificate authority in REQUESTS_CA_BUNDLE"),
        (OWN, {}, "junk", "REQUESTS_CA_BUNDLE contains no certificate in PEM"),
        (OWN, {}, "missing", "named by REQUESTS_CA_BUNDLE cannot be read"),
        (["127.0.0.2", "example.org"], {}, "own", "certificate is for another address; check {}"),
        ([], {}, None, "the server does not support TLS; check {}"),
        (OWN, PAST, "own", "certificate has expired; check the clock of this machine"),
        (OWN, COMING, "own", "certificate is not valid yet; check the clock of this machine"),
    ],
)
def test_a_certificate_that_does_not_do_is_told_with_what_to_do(
    run_tap: RunTap,
    clock: FakeClock,
    box: Sandbox,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    host: str,
    names: list[str],
    validity: dict[str, Any],
    bundled: str | None,
    line: str,
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "own.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    (tmp_path / "junk.pem").write_text("no certificate")
    if bundled:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / f"{bundled}.pem"))
    with gate(box, tls(authority, *(names or OWN), **validity)) as secured:
        url = f"https://{host}:{secured.port if names else urlsplit(box.url).port}"
        run = run_tap({**box.config, setting: url})
    assert_told_once(run, line.format(setting))
    assert f"Zoho {'Voice' if setting == 'api_url' else 'Accounts'}: the " in run.log
    assert not clock.slept  # to ask again would be of no use


@pytest.mark.parametrize("service", ["accounts", "voice"])
@pytest.mark.parametrize(
    ("answer", "line", "asked"),
    [
        ("407 Proxy Authentication Required", "(HTTP 407); it requires a user", 1),
        ("403 Forbidden", "(HTTP 403); allow this address", 1),
        ("502 Bad Gateway", "(HTTP 502); allow this address", 8),
    ],
)
def test_a_proxy_that_refuses_is_told_without_its_password(
    run_tap: RunTap,
    fronts: Fronts,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    answer: str,
    line: str,
    asked: int,
) -> None:
    with Proxy(answer) as proxy:
        set_proxy(monkeypatch, proxy, "127.0.0.1" if service == "voice" else "")
        run = run_tap(fronts.config)
    assert len(proxy.tunnels) == asked
    assert not fronts.voice.opened
    assert_told_once(run, f"Zoho {service.title()}: the proxy refused the connection {line}")


@pytest.mark.parametrize(
    ("url", "line", "waits"),
    [
        (f"http://{USER}:{PASSWORD}@127.0.0.1:1", "cannot be reached; check HTTPS_PROXY", True),
        (f"http://{USER}:{PASSWORD}@127.0.0.1:99999", "HTTPS_PROXY is invalid", False),
        ("http://", "HTTPS_PROXY is invalid; use http://host:port", False),
        (f"http://{USER}:{PASSWORD}@proxy..invalid:1", "HTTPS_PROXY is invalid", False),
        (f"ftp://{USER}:{PASSWORD}@127.0.0.1:1", "HTTPS_PROXY is invalid", False),
        (f"socks5://{USER}:{PASSWORD}@127.0.0.1:1", "install 'requests[socks]'", False),
    ],
)
@pytest.mark.parametrize("setting", ["accounts_url", "api_url"])
def test_a_proxy_that_is_none_is_told_without_its_password(
    run_tap: RunTap,
    clock: FakeClock,
    box: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    url: str,
    line: str,
    waits: bool,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    run = run_tap({**box.config, setting: "https://zoho.example.invalid"})
    assert_told_once(run, line, "example.invalid")
    assert bool(clock.slept) == waits
