"""Proxies and certificates: the same for tokens, logs and files, and told plainly if they fail."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.calls import assert_once, history, server_ids
from tests.support.cli import FakeClock, Run, RunTap
from tests.support.folders import files
from tests.support.tls import Gate, Proxy, gate, tls
from zoho_voice_sandbox import Sandbox

USER, PASSWORD = "jane.doe", "s3cret-of-the-proxy"


@pytest.fixture(autouse=True)
def plain_surroundings(plain_network: None) -> None:
    """Clear them before any fixture sets them."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with the certificate authority of the servers, named in the environment."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return str(path)


@pytest.fixture
def box(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(history=history(40), clock=clock) as running:
        yield running


def proxy_url(port: int) -> str:
    return f"http://{USER}:{PASSWORD}@127.0.0.1:{port}"


def behind(box: Sandbox, accounts: Gate, voice: Gate) -> dict[str, Any]:
    """Return settings that reach the two services by names of their own."""
    accounts_url = f"https://127.0.0.1:{accounts.port}"
    return {
        **box.config,
        "accounts_url": accounts_url,
        "api_url": f"https://localhost:{voice.port}",
    }


@pytest.mark.usefixtures("bundle")
def test_tokens_logs_and_files_come_from_servers_with_a_certificate_of_ones_own(
    run_tap: RunTap, box: Sandbox, authority: trustme.CA, tmp_path: Path
) -> None:
    context = tls(authority, "127.0.0.1", "localhost")
    with gate(box, context) as accounts, gate(box, context) as voice:
        config = {**behind(box, accounts, voice), "recordings_path": str(tmp_path / "files")}
        run = run_tap(config)
        assert (accounts.opened, voice.opened > 0) == (1, True)
    assert_once(run, server_ids(box))
    assert files(tmp_path / "files")
    assert not [row for row in run.rows("recordings") if row["error"]]


@pytest.mark.usefixtures("bundle")
def test_tokens_logs_and_files_go_through_the_proxy(
    run_tap: RunTap,
    box: Sandbox,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = tls(authority, "127.0.0.1", "localhost")
    with gate(box, context) as accounts, gate(box, context) as voice, Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy_url(proxy.port))
        config = {**behind(box, accounts, voice), "recordings_path": str(tmp_path / "files")}
        run = run_tap(config)
        assert set(proxy.tunnels) == {f"127.0.0.1:{accounts.port}", f"localhost:{voice.port}"}
        assert len(proxy.tunnels) == accounts.opened + voice.opened
        assert all(any("Proxy-Authorization" in line for line in head) for head in proxy.asked)
        heads = str(proxy.asked)
    assert_once(run, server_ids(box))
    assert files(tmp_path / "files")
    # The proxy is told where to, and nothing of what is asked for there.
    secrets = [box.config["client_secret"], box.config["refresh_token"], "Zoho-oauthtoken"]
    assert not [text for text in secrets if text in heads]
    assert PASSWORD not in run.log


@pytest.mark.usefixtures("bundle")
def test_no_proxy_names_what_is_reached_without_the_proxy(
    run_tap: RunTap, box: Sandbox, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tls(authority, "127.0.0.1", "localhost")
    with gate(box, context) as accounts, gate(box, context) as voice, Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy_url(proxy.port))
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert_once(run_tap(behind(box, accounts, voice)), server_ids(box))
        assert set(proxy.tunnels) == {f"127.0.0.1:{accounts.port}"}
        assert voice.opened


def assert_told_once(run: Run, line: str, *private: str) -> None:
    """Check that a run failed with one plain line, which is the only complaint."""
    assert run.exit_code == 1
    complaints = [text for text in run.log.splitlines() if "| ERROR    | tap-zohovoice" in text]
    assert len(complaints) == 1, run.log
    assert line in complaints[0]
    assert "Traceback" not in run.log
    assert not [text for text in (USER, PASSWORD, *private) if text in run.log]


YEAR_AGO, WEEK_AGO, NEXT_WEEK, NEXT_YEAR = (
    dt.datetime.now(dt.UTC) + dt.timedelta(days=days) for days in (-365, -7, 7, 365)
)
OWN = ["127.0.0.1", "localhost"]
PAST = {"not_before": YEAR_AGO, "not_after": WEEK_AGO}
COMING = {"not_before": NEXT_WEEK, "not_after": NEXT_YEAR}


@pytest.mark.parametrize("service", ["accounts", "voice"])
@pytest.mark.parametrize(
    ("names", "validity", "bundled", "line"),
    [
        (OWN, {}, None, "is not trusted; if a proxy intercepts TLS, set"),
        (OWN, {}, "other", "certificate authority in REQUESTS_CA_BUNDLE"),
        (OWN, {}, "junk", "REQUESTS_CA_BUNDLE contains no certificate in PEM"),
        (OWN, {}, "missing", "named by REQUESTS_CA_BUNDLE cannot be read"),
        (["127.0.0.2", "example.org"], {}, "own", "certificate is for another address; check "),
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
    service: str,
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
    with gate(box, tls(authority, *names, **validity)) as secured:
        own, where = (
            ("accounts_url", "127.0.0.1") if service == "accounts" else ("api_url", "localhost")
        )
        run = run_tap({**box.config, own: f"https://{where}:{secured.port}"})
    assert_told_once(run, line)
    assert f"Zoho {service.title()}: the " in run.log
    assert not clock.slept  # to ask again would be of no use


@pytest.mark.parametrize("setting", ["accounts_url", "api_url"])
def test_a_server_without_tls_is_told(run_tap: RunTap, box: Sandbox, setting: str) -> None:
    run = run_tap({**box.config, setting: box.url.replace("http:", "https:")})
    assert_told_once(run, f"the server does not support TLS; check {setting}")


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize("service", ["accounts", "voice"])
@pytest.mark.parametrize(
    ("answer", "line", "asked"),
    [
        (
            "407 Proxy Authentication Required",
            "refused the connection (HTTP 407); it requires a user",
            1,
        ),
        ("403 Forbidden", "refused the connection (HTTP 403); allow this address", 1),
        ("502 Bad Gateway", "refused the connection (HTTP 502); allow this address", 8),
    ],
)
def test_a_proxy_that_refuses_is_told_without_its_password(
    run_tap: RunTap,
    box: Sandbox,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    answer: str,
    line: str,
    asked: int,
) -> None:
    context = tls(authority, "127.0.0.1", "localhost")
    with gate(box, context) as accounts, gate(box, context) as voice, Proxy(answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy_url(proxy.port))
        if service == "voice":
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        run = run_tap(behind(box, accounts, voice))
        assert len(proxy.tunnels) == asked
        assert not voice.opened
    assert_told_once(run, f"Zoho {service.title()}: the proxy {line}")


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
