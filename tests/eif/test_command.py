"""`strongroom-eif` as a person and as a script use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strongroom_eif.__main__ import main
from tests.eif.test_measurements import _pem, certified


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    (tmp_path / "kernel").write_bytes(b"kernel")
    (tmp_path / "init").mkdir()
    (tmp_path / "init" / "init").write_bytes(b"#!")
    (tmp_path / "app.cpio").write_bytes(b"application")
    key, certificate = certified()
    (tmp_path / "key.pem").write_bytes(_pem(key))
    (tmp_path / "certificate.pem").write_bytes(certificate)
    return tmp_path


def build(parts: Path, name: str, *more: str) -> list[str]:
    ramdisks = ["--ramdisk", str(parts / "init"), "--ramdisk", str(parts / "app.cpio")]
    return ["build", "--kernel", str(parts / "kernel"), *ramdisks, "-o", str(parts / name), *more]


def test_build_describe_sign(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(build(parts, "one.eif", "--json")) == 0
    built = json.loads(capsys.readouterr().out)
    assert set(built["measurements"]) == {"pcr0", "pcr1", "pcr2"} and built["signed_by"] is None
    assert main(["describe", str(parts / "one.eif"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == built
    pair = ["--key", str(parts / "key.pem"), "--certificate", str(parts / "certificate.pem")]
    assert main(["sign", str(parts / "one.eif"), *pair, "-o", str(parts / "signed.eif")]) == 0
    shown = capsys.readouterr().out
    assert f"pcr0       {built['measurements']['pcr0']}" in shown
    assert "pcr8       " in shown and "signed by  CN=release" in shown


def test_two_builds_are_the_same_bytes(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(build(parts, "one.eif")) == 0
    (parts / "init" / "init").touch()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert main(build(parts, "two.eif")) == 0
    assert (parts / "one.eif").read_bytes() == (parts / "two.eif").read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert main(build(parts, "three.eif")) == 0
    assert b"2023-11-14T22:13:20+00:00" in (parts / "three.eif").read_bytes()


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["describe", "{}/kernel"], "bad_image"),
        (["describe", "{}/nothing"], "bad_file"),
        (["sign", "{}/kernel", "--key", "{}/kernel", "--certificate", "{}/kernel", "-o", "{}/x"], "bad_file"),
        (["build", "--kernel", "{}/kernel", "--ramdisk", "{}/nothing", "-o", "{}/x"], "bad_file"),
        (["build", "--kernel", "{}/kernel", "--ramdisk", "{}/kernel", "-o", "{}/no/x"], "bad_file"),
        (["build", "--kernel", "{}/kernel", "--ramdisk", "{}/kernel", "-o", "{}/x", "--cmdline", "a\nb"], "bad_image"),
    ],
)
def test_what_goes_wrong(parts: Path, arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([argument.format(parts) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith(f"strongroom-eif: {code}: ")
    assert not (parts / "x").exists() and not list(parts.glob("*.part"))


def test_a_time_that_is_none(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert main(build(parts, "x")) == 1
