"""Keys of people: private files, never overwritten, opened with the right passphrase alone."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from strongroom.errors import Refusal
from strongroom_client import keyfiles, officers
from tests.client.custody import no_passphrase
from tests.cluster.commands import STRONGROOM, strongroom


def opens(path: Path, passphrase: bytes) -> bool:
    return len(keyfiles.public(keyfiles.load(path, lambda: passphrase))) == 32


def test_folder_of_keys(keys: Path) -> None:
    made = officers.create(keys, count=3, quorum=2, passphrase=None)
    assert sorted(path.name for path in keys.glob("*.pem")) == [
        "officer-1.pem", "officer-2.pem", "officer-3.pem", "requester.pem",
    ]  # fmt: skip
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in made.keys)
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert officers.load_pins(keys) == made.officers
    loaded = {keyfiles.public(keyfiles.load(path, no_passphrase)) for path in officers.officer_files(keys)}
    assert loaded == set(made.officers.keys)
    assert officers.load_requester_key(keys) == made.requester


def test_ten_officers_are_found_in_their_order(keys: Path) -> None:
    officers.create(keys, count=11, quorum=6, passphrase=None)
    assert [path.name for path in officers.officer_files(keys)][8:] == [
        "officer-9.pem", "officer-10.pem", "officer-11.pem",
    ]  # fmt: skip


def test_nothing_is_overwritten(keys: Path) -> None:
    officers.create(keys, count=1, quorum=1, passphrase=None)
    before = (keys / "officer-1.pem").read_bytes()
    with pytest.raises(Refusal) as raised:
        officers.create(keys, count=1, quorum=1, passphrase=None)
    assert raised.value.code == "file_exists"
    assert (keys / "officer-1.pem").read_bytes() == before


def test_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refusal):
        keyfiles.create(tmp_path / "link.pem", None)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("count", "quorum"), [(0, 0), (3, 0), (3, 4), (17, 1)])
def test_impossible_quorum(keys: Path, count: int, quorum: int) -> None:
    with pytest.raises(Refusal):
        officers.create(keys, count=count, quorum=quorum, passphrase=None)
    assert not keys.exists()


def test_encrypted_keys(keys: Path) -> None:
    officers.create(keys, count=1, quorum=1, passphrase=b"correct")
    path = keys / "officer-1.pem"
    assert b"ENCRYPTED" in path.read_bytes()
    assert opens(path, b"correct")
    with pytest.raises(Refusal) as raised:
        keyfiles.load(path, lambda: b"wrong")
    assert raised.value.code == "passphrase"


@pytest.mark.parametrize("content", [b"", b"no PEM", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(Refusal) as raised:
        keyfiles.load(path, no_passphrase)
    assert raised.value.code == "bad_file"


def test_init_with_a_passphrase_file(keys: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\nand a second line\n")
    ran = strongroom("init", keys, "--passphrase-file", secret, "--json")
    assert ran.status == 0, ran.err
    assert ran.json["encrypted"] and ran.json["officers"]["quorum"] == 2
    assert opens(keys / "officer-1.pem", b"correct horse")


def test_init_with_a_passphrase_descriptor(keys: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"correct")
    os.close(write)
    command = [str(STRONGROOM), "init", str(keys), "--passphrase-fd", str(read), "--officers", "1", "--quorum", "1"]
    done = subprocess.run(command, pass_fds=[read], capture_output=True, check=False)
    os.close(read)
    assert done.returncode == 0, done.stderr
    assert opens(keys / "officer-1.pem", b"correct")


def test_init_refuses_to_overwrite_in_words_and_in_json(keys: Path) -> None:
    assert strongroom("init", keys, "--no-passphrase").status == 0
    words = strongroom("init", keys, "--no-passphrase")
    assert words.status == 1 and "file_exists" in words.err and "never overwritten" in words.err
    assert strongroom("init", keys, "--no-passphrase", "--json").json["refused"]["code"] == "file_exists"


def test_init_asks_no_one_where_no_terminal_is(keys: Path) -> None:
    ran = strongroom("init", keys)
    assert ran.status == 1 and "passphrase" in ran.err
    assert not keys.exists()


def test_no_option_takes_a_passphrase() -> None:
    """It would stand in the list of processes."""
    assert strongroom("init", "/nowhere", "--passphrase", "secret").status == 2


def test_pins_are_read_strictly(keys: Path) -> None:
    officers.create(keys, count=2, quorum=1, passphrase=None)
    pins = json.loads((keys / "officers.json").read_text())
    for change in ({"quorum": "1"}, {"keys": ["00"]}, {"extra": 1}, {"keys": pins["keys"][::-1]}):
        (keys / "officers.json").write_text(json.dumps({**pins, **change}))
        with pytest.raises(Refusal):
            officers.load_pins(keys)
