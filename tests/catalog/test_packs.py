"""Packs come from strangers: a sound one is installed whole, any other refused with one sentence and no trace."""

from __future__ import annotations

import gzip
import os
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuartui import paths
from kuartui.catalog import packfile, packs
from kuartui.catalog.catalog import Catalog
from kuartui.catalog.reader import shipped_levels
from kuartui.errors import KuartuiError, LevelError, UnknownName
from tests.catalog.archives import FOLDER, honest, members, plain, special, tar, with_manifest
from tests.catalog.pack import write


def put(tmp_path: Path, data: bytes) -> Path:
    file = tmp_path / "hostile.tar.gz"
    file.write_bytes(data)
    return file


def traces() -> list[str]:
    """Everything that lies where packs are."""
    place = packs.packs_dir()
    return sorted(item.name for item in place.iterdir()) if place.exists() else []


# --- a sound pack -----------------------------------------------------------------------------------------------------


def test_it_is_installed_beside_ours_and_removed(tmp_path: Path) -> None:
    pack = packs.install(honest(tmp_path), {})
    assert (pack.name, pack.spec.version, pack.levels, pack.broken) == ("acme", "1.0.0", ("shop-window",), "")
    catalog = Catalog.default()
    assert catalog.owner("shop-window") == "acme"
    assert catalog.owner("broken-selector") == "kuartui"
    assert catalog.level("shop-window").title == "The shop window is dark"
    assert [track.title for track in catalog.tracks() if track.name == "basics"] == ["Basics"]
    assert {oct(item.stat().st_mode)[-3:] for item in pack.path.rglob("*.yaml")} <= {"600", "644", "640"}
    packs.remove("acme")
    assert traces() == []
    with pytest.raises(UnknownName, match="no pack 'acme'"):
        packs.remove("acme")


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = honest(tmp_path / "a"), honest(tmp_path / "b")
    os.utime(tmp_path / "b" / "source-acme-1.0.0-shop-window" / FOLDER / "level.yaml", (1, 1))
    assert first.read_bytes() == honest(tmp_path / "b").read_bytes() == second.read_bytes()


def test_another_version_takes_its_place(tmp_path: Path) -> None:
    packs.install(honest(tmp_path), {})
    newer = packs.install(honest(tmp_path, version="1.1.0", level="front-door"), {"shop-window": "acme"})
    assert (newer.spec.version, newer.levels) == ("1.1.0", ("front-door",))
    assert traces() == ["acme"]


def test_a_version_that_is_refused_leaves_the_old_one(tmp_path: Path) -> None:
    packs.install(honest(tmp_path), {})
    files = members(honest(tmp_path, version="2.0.0"))
    files[f"{FOLDER}/level.yaml"] += b"\nbroken: [\n"
    del files[packfile.MANIFEST]
    hostile = put(tmp_path, tar([plain(*item) for item in with_manifest(files).items()]))
    with pytest.raises(LevelError, match="not YAML"):
        packs.install(hostile, {})
    assert [(pack.spec.version, pack.broken) for pack in packs.installed()] == [("1.0.0", "")]
    assert traces() == ["acme"]


def test_what_a_killed_install_left_is_swept_up(tmp_path: Path) -> None:
    packs.install(honest(tmp_path), {})
    halfway = packs.packs_dir() / ".new-x"
    halfway.mkdir()
    os.replace(packs.packs_dir() / "acme", halfway / "replaced")  # killed between the two renames of an upgrade
    packs.install(honest(tmp_path, name="other", level="front-door"), {})
    assert traces() == ["acme", "other"]
    assert [pack.broken for pack in packs.installed()] == ["", ""]


def test_hidden_files_stay_with_their_author(tmp_path: Path) -> None:
    file = honest(tmp_path)
    source = tmp_path / "source-acme-1.0.0-shop-window"
    (source / FOLDER / ".DS_Store").write_bytes(b"\0\xff")
    assert members(honest(tmp_path)).keys() == members(file).keys()


# --- beside others ----------------------------------------------------------------------------------------------------


def test_it_cannot_replace_a_level_of_ours_or_of_another_pack(tmp_path: Path) -> None:
    catalog = Catalog.default()
    taken = {name: catalog.owner(name) for name in catalog.names()}
    with pytest.raises(LevelError, match="level broken-selector is in kuartui already"):
        packs.install(honest(tmp_path, level="broken-selector"), taken)
    with pytest.raises(LevelError, match="level shop-window is in other already"):
        packs.install(honest(tmp_path), {"shop-window": "other"})
    assert traces() == []


def test_installs_wait_for_each_other(tmp_path: Path) -> None:
    other = honest(tmp_path, name="other", level="front-door")
    write_all = packs._write
    second: list[threading.Thread] = []

    def slow(pack: packfile.Pack, root: Path) -> None:
        write_all(pack, root)
        if not second:  # another one begins while this one is half done
            second.append(threading.Thread(target=packs.install, args=(other, {})))
            second[0].start()
            second[0].join(0.3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packs, "_write", slow)
        assert packs.install(honest(tmp_path), {}).broken == ""
        second[0].join(10)
    assert traces() == ["acme", "other"]
    assert [pack.broken for pack in packs.installed()] == ["", ""]


def test_one_broken_pack_does_not_break_the_others(tmp_path: Path) -> None:
    packs.install(honest(tmp_path), {})
    packs.install(honest(tmp_path, name="other", level="front-door"), {})
    packs.install(honest(tmp_path, name="third", level="back-door"), {})
    (packs.packs_dir() / "other" / "tracks.yaml").write_text("tracks: [")
    (packs.packs_dir() / "third" / "basics" / "back-door" / "level.yaml").write_text("nonsense")
    catalog = Catalog.default()
    names = [card.name for card in catalog.cards()]
    assert "shop-window" in names
    assert not {"front-door", "back-door"} & set(names)
    assert {"other", "third/back-door"} == set(catalog.broken)
    assert "not YAML" in catalog.broken["other"]
    states = {pack.name: bool(pack.broken) for pack in packs.installed()}
    assert states == {"acme": False, "other": True, "third": True}


def test_levels_of_ones_own_need_no_pack(home: Path) -> None:
    write(paths.data_dir() / "levels", "mine")
    write(paths.data_dir() / "levels", "broken-selector", track="services")
    catalog = Catalog.default()
    assert catalog.owner("mine") == "levels"
    assert catalog.folder("broken-selector").is_relative_to(shipped_levels())
    assert catalog.broken == {"levels/broken-selector": "kuartui has a level of this name already"}


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE])
def test_headers_about_headers_end_in_a_sentence(tmp_path: Path, kind: bytes) -> None:
    chain = b""
    for _ in range(3000):
        header = tarfile.TarInfo("next")
        header.type, header.size = kind, 11
        chain += header.tobuf(tarfile.GNU_FORMAT) + b"11 path=aa\n".ljust(512, b"\0")
    with pytest.raises(LevelError, match="is no .tar.gz, or a damaged one"):
        packs.install(put(tmp_path, gzip.compress(chain)), {})
    assert traces() == []


EVIL = [
    ("../evil.yaml", "leads out of the pack"),
    ("/etc/evil.yaml", "leads out of the pack"),
    ("basics/../../evil.yaml", "leads out of the pack"),
    ("basics\\..\\evil.yaml", "leads out of the pack"),
    ("C:evil.yaml", "leads out of the pack"),
    ("basics/shop-window/.hidden.yaml", "is no name for a file"),
    ("basics//evil.yaml", "is no name for a file"),
    ("basics/./evil.yaml", "is no name for a file"),
    ("basics/nul.yaml", "is no name for a file"),
    ("basics/\x1b[31m.yaml", "is no name for a file"),
    ("basics/ünïcode.yaml", "is no name for a file"),
    ("a/b/c/d/e/f/g.yaml", "is no name for a file"),
    ("basics/" + "x" * 101 + ".yaml", "is no name for a file"),
    (f"{FOLDER}/run.sh", "a pack holds only .yaml"),
    (f"{FOLDER}/run.py", "a pack holds only .yaml"),
    (f"{FOLDER}/LEVEL.yaml", "differ only in upper and lower case"),
    (f"{FOLDER}/debrief.md/x.yaml", "is a file and a folder"),
]


@pytest.mark.parametrize(("name", "text"), EVIL)
def test_names(tmp_path: Path, name: str, text: str) -> None:
    files = {path: data for path, data in members(honest(tmp_path)).items() if path != packfile.MANIFEST}
    hostile = tar([plain(*item) for item in with_manifest({**files, name: b"x"}).items()])
    with pytest.raises(LevelError, match=text) as caught:
        packs.install(put(tmp_path, hostile), {})
    assert caught.value.message.isprintable()
    assert traces() == []


@pytest.mark.parametrize(
    "entry",
    [
        special("basics/x.yaml", tarfile.SYMTYPE, "/etc/passwd"),
        special("basics/x.yaml", tarfile.LNKTYPE, f"{FOLDER}/level.yaml"),
        special("basics/x.yaml", tarfile.CHRTYPE),
        special("basics/x.yaml", tarfile.BLKTYPE),
        special("basics/x.yaml", tarfile.FIFOTYPE),
        special("basics/x.yaml", tarfile.CONTTYPE),
    ],
)
def test_only_plain_files(tmp_path: Path, entry: tuple[tarfile.TarInfo, bytes]) -> None:
    entries = [plain(*item) for item in members(honest(tmp_path)).items()]
    with pytest.raises(LevelError, match="no plain file|not in its manifest"):
        packs.install(put(tmp_path, tar([*entries, entry])), {})
    assert traces() == []


def test_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {path: data for path, data in members(honest(tmp_path)).items() if path != packfile.MANIFEST}

    def refused(changed: dict[str, bytes]) -> str:
        entries = [plain(*item) for item in with_manifest({**files, **changed}).items()]
        with pytest.raises(LevelError) as caught:
            packs.install(put(tmp_path, tar(entries)), {})
        return caught.value.problem

    assert "is larger than 512 KiB" in refused({"basics/big.yaml": b"x" * 600_000})
    assert "is not UTF-8" in refused({"basics/x.yaml": b"\xff\xfe"})
    monkeypatch.setattr(packfile, "MAX_FILES", 8)
    assert "more than 8 files" in refused({f"basics/{index}.yaml": b"x" for index in range(9)})
    bomb = put(tmp_path, gzip.compress(bytes(packfile.MAX_UNPACKED + packfile.MAX_FILES * 2048 + 1)))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(LevelError, match="unpacks to more than 32 MiB"):
        packs.install(bomb, {})
    with pytest.raises(LevelError, match="larger than 8 MiB"):
        packs.install(put(tmp_path, bytes(9 * 1024**2)), {})
    assert traces() == []


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(LevelError, match="is no plain file, as a pack is"):
            packs.install(place, {})


def test_the_manifest_tells_the_truth(tmp_path: Path) -> None:
    files = members(honest(tmp_path))
    content = {path: data for path, data in files.items() if path != packfile.MANIFEST}

    def refused(changed: dict[str, bytes]) -> str:
        with pytest.raises(LevelError) as caught:
            packs.install(put(tmp_path, tar([plain(*item) for item in changed.items()])), {})
        return caught.value.problem

    assert "there is no pack.yaml" in refused(content)
    assert "not what the manifest says" in refused({**files, f"{FOLDER}/debrief.md": b"# Another"})
    assert "not in its manifest" in refused({**files, "basics/more.yaml": b"x"})
    assert "not in the pack" in refused({path: data for path, data in files.items() if not path.endswith(".md")})
    assert "digest is not that of the files" in refused(with_manifest(content, digest="sha256:0"))
    assert "unknown field" in refused(with_manifest(content, install="rm -rf /"))
    assert "a name is lower case letters" in refused(with_manifest(content, name="../acme"))
    assert "it is kuartui's own" in refused(with_manifest(content, name="kuartui"))
    assert "expected three numbers, as in 1.2.0" in refused(with_manifest(content, version="new"))
    assert "no level in it" in refused(with_manifest({"basics/notes.md": b"x"}))
    assert traces() == []


def test_a_file_that_is_there_twice(tmp_path: Path) -> None:
    entries = [plain(*item) for item in members(honest(tmp_path)).items()]
    with pytest.raises(LevelError, match="is there twice"):
        packs.install(put(tmp_path, tar([*entries, entries[-1]])), {})


def test_building_refuses_what_installing_would(tmp_path: Path) -> None:
    honest(tmp_path)
    source = tmp_path / "source-acme-1.0.0-shop-window"
    (source / FOLDER / "setup" / "link.yaml").symlink_to("/etc/passwd")
    with pytest.raises(LevelError, match="no plain file"):
        packfile.build(source, name="acme")
    (source / FOLDER / "setup" / "link.yaml").unlink()
    (source / FOLDER / "solve.sh").write_text("true")
    with pytest.raises(LevelError, match="a pack holds only"):
        packfile.build(source, name="acme")
    with pytest.raises(LevelError, match="no levels there"):
        packfile.build(tmp_path / "nowhere", name="acme")


def test_building_a_track_or_a_level_says_which_folder_was_meant(tmp_path: Path) -> None:
    honest(tmp_path)
    source = tmp_path / "source-acme-1.0.0-shop-window"
    for inner in (source / FOLDER, (source / FOLDER).parent):
        with pytest.raises(LevelError) as caught:
            packfile.build(inner, name="acme")
        assert caught.value.hint == f"the folder of tracks is {source}"


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("My Course", "1.0.0", "metadata.name: a name is lower case letters, digits and dashes"),
        ("course", "one", "spec.version: expected three numbers, as in 1.2.0"),
    ],
)
def test_a_name_or_version_that_is_none_names_no_file(tmp_path: Path, name: str, version: str, said: str) -> None:
    honest(tmp_path)
    with pytest.raises(LevelError) as caught:
        packfile.build(tmp_path / "source-acme-1.0.0-shop-window", name=name, version=version)
    assert str(caught.value.message) == said


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a pack")
    with pytest.raises(LevelError, match=r"is no \.tar\.gz"):
        packs.install(tmp_path / "notes.txt", {})


# --- whatever comes -------------------------------------------------------------------------------------------------

parts = st.sampled_from(
    ["..", ".", "", "basics", "shop-window", "level.yaml", "Level.yaml", "x.sh", "x\x00.md", "é.md", "~"]
)
names = st.one_of(st.lists(parts, min_size=1, max_size=8).map("/".join), st.text(min_size=1, max_size=60))
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, b"S"])


@settings(max_examples=60)
@given(
    extra=st.lists(st.tuples(names, kinds, st.binary(max_size=40), names), min_size=1, max_size=4),
    consistent=st.booleans(),
)
def test_a_hostile_archive_leaves_nothing_outside(
    tmp_path: Path, extra: list[tuple[str, bytes, bytes, str]], consistent: bool
) -> None:
    files = members(honest(tmp_path))
    if consistent:
        content = {path: data for path, data in files.items() if path != packfile.MANIFEST}
        listed = {name: data for name, kind, data, _ in extra if kind == tarfile.REGTYPE and name.isprintable()}
        files = with_manifest({**content, **listed})
    entries = [plain(*item) for item in files.items()]
    for name, kind, data, target in extra:
        if name in files and consistent:
            continue
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        member.size = len(data) if kind == tarfile.REGTYPE else 0
        entries.append((member, data))
    try:
        hostile = tar(entries)
    except (ValueError, UnicodeError):  # names that not even tar can write
        return
    before = _tree(tmp_path)
    try:
        packs.install(put(tmp_path, hostile), {})
    except KuartuiError as error:
        assert "\n" not in error.message  # noqa: PT017
        assert traces() == []
    else:
        packs.remove("acme")
    assert _tree(tmp_path) == before


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_archive_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    sound = honest(tmp_path).read_bytes()
    if data.draw(st.booleans()):
        changed = sound[: data.draw(st.integers(0, len(sound) - 1))]
    else:
        at = data.draw(st.integers(0, len(sound) - 1))
        changed = sound[:at] + bytes([sound[at] ^ data.draw(st.integers(1, 255))]) + sound[at + 1 :]
    try:
        pack = packs.install(put(tmp_path, changed), {})
    except LevelError as error:
        assert "\n" not in error.message  # noqa: PT017
        assert traces() == []
    else:  # a bit of gzip's header that means nothing
        assert pack.broken == ""
        packs.remove("acme")


def _tree(root: Path) -> set[str]:
    return {
        str(item) for item in root.rglob("*") if item.name not in ("hostile.tar.gz", "home", "kuartui", "data", "packs")
    }
