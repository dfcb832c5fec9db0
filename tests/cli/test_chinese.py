"""The command line in Chinese: no sentence is left in English, and what scripts read stays as it is."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kuartui.catalog.catalog import Catalog
from kuartui.cli import output, report, spoken
from kuartui.cli.app import app
from kuartui.cli.output import Format, Output
from kuartui.cli.run import Noun, command
from kuartui.cluster import kubectl
from kuartui.cluster.access import Access
from kuartui.cluster.rest import unreachable
from kuartui.cluster.tool import explain
from kuartui.errors import AttemptError, KuartuiError
from kuartui.game.attempt import AttemptState
from kuartui.game.level import Level
from kuartui.game.score import score
from kuartui.message import later
from kuartui.paths import unwritable
from kuartui.play import present
from kuartui.play.proof import Report
from kuartui.play.proof_run import STATES, Line
from kuartui.play.view import AttemptView
from kuartui.play.view import Result as Played
from kuartui.translate import tr
from tests.catalog.pack import LEVEL, MANIFEST, write

COMMANDS = re.compile(r"`[^`]*`|\b(?:kuartui|kubectl|docker|pip|sudo|systemctl|podman)(?: [\w./:=|$'\[\]-]+)*")
HAN = re.compile(r"[一-鿿]")
SENTENCE = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}")


@pytest.fixture(autouse=True)
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUARTUI_LANG", "zh-CN")
    monkeypatch.setenv("COLUMNS", "100")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def is_chinese(text: str) -> None:
    left = SENTENCE.findall(COMMANDS.sub("", text))
    assert not left, text
    assert HAN.search(text), text


def said(error: KuartuiError, capsys: pytest.CaptureFixture[str]) -> str:
    output.fail(error)
    text = capsys.readouterr().err
    is_chinese(text)
    return text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["level", "show", "broken-selecter"], 2, "没有关卡 'broken-selecter'；你是不是想说 broken-selector？"),
        (["level", "show", "zzz"], 2, "有这些："),
        (["level", "check"], 7, "没有正在进行的关卡"),
        (["level", "list", "--track", "zzz"], 2, "没有主题 'zzz'"),
        (["level", "start", "first-steps", "--cluster", "kinda"], 2, "没有集群种类 'kinda'；你是不是想说 kind？"),
        (["level", "start", "first-steps", "--cluster", "context"], 2, "当前上下文不会被自动采用"),
        (["cluster", "up", "--allow-remote"], 2, "--allow-remote 只用于 --cluster context:NAME"),
        (["cluster", "kubeconfig"], 4, "集群 kuartui 没有运行"),
        (["kubectl", "--", "get", "pods"], 4, "集群 kuartui 没有运行"),
        (["bundle", "verify", "nothing.tar"], 6, "没有文件 nothing.tar"),
        (["bundle", "load", "x.tar", "--into", "moon"], 2, "无法载入到 'moon'"),
        (["pack", "remove", "zzz"], 2, "没有安装任何关卡包"),
        (["pack", "install", "nothing.tar.gz"], 3, "没有这个文件"),
        (["level", "prove", "first-steps", "--output", "xml"], 2, "没有输出格式 'xml'"),
        (["progress", "show"], 0, "还没有"),
        (["cluster", "status"], 1, "不存在"),
        (["doctor"], None, "数据目录"),
        (["level", "list"], 0, "标准用时"),
        (["image", "list"], 0, "来源"),
        (["pack", "list"], 0, "没有安装任何关卡包"),
    ],
)
def test_what_commands_say(arguments: list[str], code: int | None, words: str) -> None:
    done = run(*arguments)
    assert code is None or done.exit_code == code, done.output
    assert words in done.output
    is_chinese(done.output)


def test_a_broken_level_is_named_with_its_place(tmp_path: Path) -> None:
    run("level", "new", "shop", "--pack", str(tmp_path))
    file = tmp_path / "drafts" / "shop" / "level.yaml"
    file.write_text(file.read_text().replace("difficulty:", "dificulty:"))
    done = run("level", "show", str(file.parent))
    assert done.exit_code == 3
    assert f"{file}:" in done.stderr
    assert "spec.dificulty: 未知字段；你是不是想说 difficulty？" in done.stderr


def test_what_goes_wrong_on_a_players_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "无法写入 /x：设备上没有剩余空间" in said(unwritable(Path("/x"), full), capsys)
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    assert "集群：连接被拒绝" in said(unreachable(Access(server="https://127.0.0.1:1"), refused), capsys)
    assert "没有回答" in said(unreachable(Access(server="https://127.0.0.1:1"), TimeoutError()), capsys)
    docker = explain("creating", ["Cannot connect to the Docker daemon at unix:///x"], 1)
    assert "Docker 没有运行" in said(docker, capsys)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(kubectl, "candidates", lambda: iter(()))
    with pytest.raises(KuartuiError) as missing:
        kubectl.find()
    assert "PATH 中找不到 kubectl" in said(missing.value, capsys)


def test_scripts_read_the_same_in_every_language() -> None:
    done = run("level", "show", "zzz", "--output", "json")
    assert json.loads(done.stdout)["error"]["message"] == "no level 'zzz'"
    found = json.loads(run("doctor", "--output", "json").stdout)
    assert "data directory" in [item["what"] for item in found]
    assert json.loads(run("cluster", "status", "--output", "json").stdout)["phase"] == "absent"
    assert json.loads(run("level", "list", "--output", "json").stdout)[0]["title"].startswith("Start here")
    assert not HAN.search(run("level", "show", "first-steps", "--output", "json").stdout)
    asked = run("level", "show", "first-steps", "--output", "json", "--lang", "zh-CN").stdout
    assert HAN.search(asked), "a translation that is asked for by name is what is wanted"


def test_whatever_a_command_finds_out_is_english_for_scripts() -> None:
    app = Noun()

    @command(app, "look")
    def look(out: Output = Format.text) -> None:
        output.data(tr("denied"))  # as checks do: they say at once what they saw

    @command(app, "fail")
    def fail(out: Output = Format.text) -> None:
        raise AttemptError(later("no level is in play"))

    def tell(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    assert json.loads(tell("look", "-o", "json").stdout) == "denied"
    assert json.loads(tell("look").stdout) == "被拒绝"
    failed = tell("fail", "-o", "json")
    assert json.loads(failed.stdout)["error"]["message"] == "no level is in play"
    assert failed.stderr == "错误：没有正在进行的关卡\n", "people read this"


def test_a_proof_is_told_to_people_and_written_for_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def prove(levels: list[Level], *_: object, on_line: Callable[[Line], None], **__: object) -> Report:
        seen = later("{name} is {state}", name="pods", state=STATES["failing"])
        detail = later("{text} ({why})", text=seen, why=tr("admitted"))  # checks say at once what they see
        line = Line(levels[0].name, 0, "solution", "it", False, detail)
        on_line(line)
        return Report((line,), 1.0)

    monkeypatch.setattr("kuartui.play.proof.prove", prove)
    told = run("level", "prove", "first-steps")
    assert told.stdout == "FAIL  first-steps  solution it: pods 未通过（被准入）\n0 个通过，1 个失败\n"
    written = run("level", "prove", "first-steps", "--output", "json")
    assert json.loads(written.stdout)["lines"][0]["detail"] == "pods is failing (admitted)"
    assert "pods is failing (admitted)</failure>" in run("level", "prove", "first-steps", "--output", "junit").stdout
    assert run("level", "prove", "first-steps").stdout == told.stdout


SPOILED = {
    "title: A quiet shop": "title: A wrong shop",
    "Make it answer": "Run kubectl patch service and make it answer",
    "track: first": "track: second",
    "parTime: 2m": "parTime: 4m",
    "port: [8080, 9090]": "port: [8080]\n    extra: [1, 2]",
    "weight: 40": "weight: 30",
    "{cost: 10, text: Look closer.}": "{cost: 1, text: kubectl delete pod figs-0 does it.}",
    "cel: pods.size() == {{shop.size}}": "cel: 1 + 1 == 2",
    '        observe: "string(pods.size())"\n': "",
    "status: 200}": 'status: 200, body: ".*"}',
    "{kind: Service, name: tea}": "{kind: Pod, name: tee}",
    '    - {name: two, run: ["kubectl get pods -A"]}\n': "",
    '    - {name: lazy, run: ["true"], caughtBy: [up, reached]}\n': "",
    'run: ["true"], caughtBy: [same]': 'run: ["curl localhost"], caughtBy: [up]',
    '  references: [{title: Pod, url: "https://kubernetes.io/docs/concepts/workloads/pods/"}]\n': (
        "  exams: [{exam: CKA, domain: cooking}]\n"
    ),
}


def test_what_lint_finds(tmp_path: Path) -> None:
    level = LEVEL
    for good, bad in SPOILED.items():
        assert good in level, good
        level = level.replace(good, bad)
    folder = write(tmp_path, level=level, manifest=MANIFEST.replace("busybox:1.36", "busybox:latest # as on Monday"))
    (folder / "debrief.md").write_text("# In production\n# What happened\n")
    (folder / "level.english.yaml").touch()
    (folder / "notes.txt").touch()
    headings = "".join(f"{{heading: {name}}}, " for name in ("What happened", "In production", "The traps"))
    (tmp_path / "tracks.yaml").write_text(f"languages: [fr]\ndebrief: [{headings}]\n")
    complaints = json.loads(run("level", "lint", str(folder), "--output", "json").stdout)
    *told, counted = run("level", "lint", str(folder)).stdout.splitlines()
    is_chinese(counted)
    for line, complaint in zip(told, complaints, strict=True):
        where = f"{complaint['file']}:{complaint['line'] or ''}".rstrip(":") + f": {complaint['severity']}: "
        field = f"{complaint['field']}: " if complaint["field"] else ""
        assert line.startswith(where + field), "what scripts look for is the same in every language"
        is_chinese(line.removeprefix(where + field))
        assert complaint["text"].isascii(), "and JSON is in English"
    texts = "\n".join(told)
    assert "spec.title: 'wrong' 泄露了原因；请说看到的现象" in texts
    assert "level.fr.yaml: error: 未翻译：全部" in texts
    refused = run("pack", "build", str(tmp_path), "--name", "shop", "--version", "1.0.0")
    assert refused.exit_code == 3
    assert "error: spec.title: 'wrong' 泄露了原因；请说看到的现象" in refused.stderr


def test_checks_guards_and_the_score() -> None:
    level = Catalog.default().level("broken-selector", 0, "zh-CN")
    state = AttemptState(broken=frozenset({"same-objects"}), why={"same-objects": "Deployment/web"})
    points = score(level, state, 300.0)
    checks, guards = present.checks(level, state, {}, 300.0), present.guards(level, state)
    view = AttemptView(
        "a",
        level,
        "ranked",
        "embedded",
        None,
        Path("/x"),
        "playing",
        300.0,
        False,
        checks,
        guards,
        (),
        5,
        3,
        points,
        40,
        (),
    )
    shown = "\n".join(report.checks(view))
    is_chinese(shown)
    assert "守则  受保护的对象既没有被删除也没有被重建: Deployment/web (重置才能恢复)" in shown
    assert shown.endswith("5m00s，时限 12m00s（标准用时 4m00s）；目前 0 分，最多还能得到 40 分")
    ended = "\n".join(report.summary(Played("a", level, "time-up", points, checks, guards, (), "", (), 90)))
    is_chinese(ended)
    assert ended.startswith("broken-selector: 时间到")
    assert re.search(r"  违反守则：剩余 0% +-?\+?0\n", ended)
    assert "用时 5m00s, 历史最佳 90" in ended
    columns = {output.cells(line) for line in ended.splitlines() if re.search(r"[+-]\d+$", line)}
    assert len(columns) == 1, "amounts stand below each other"


def test_help() -> None:
    assert "布置一个关卡并开始计时。" in run("level", "--help").output
    shown = run("level", "start", "--help").output
    assert "种子相同，关卡就相同。" in shown
    assert run("level", "start", "zzz", "--help").output == shown


def test_help_follows_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUARTUI_LANG", "en")
    assert "Set a level up and start the clock." in run("level", "--help").output


def test_the_language_asked_for_is_that_of_the_help_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUARTUI_LANG", "en")
    assert "Where to play." in run("--help").output
    assert "在哪里玩" in run("--lang", "zh-CN", "--help").output


def test_click_speaks_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken.teach_click()
    told = run("level", "start", "--help").output
    assert all(word in told for word in ("用法：", "参数:", "选项:", "显示此帮助并退出。", "默认："))
    is_chinese(run("level", "start").output.replace("LEVEL|PATH", ""))
    monkeypatch.setenv("KUARTUI_LANG", "en")
    assert "Missing argument 'LEVEL|PATH'." in run("level", "start").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["level", "show", "a", "b"], "多出了参数（b）"),
        (["level", "start", "a", "--seed", "x"], "'x' 不是有效的整数。"),
        (["level", "prove", "--seeds", "0"], "0 不在范围 1<=x<=100 之内。"),
        (["level", "list", "-o", "yaml"], "'yaml' 不是 'text', 'json' 之一。"),
        (["level", "list", "--trak", "a"], "没有选项 '--trak'。 你是不是想说 '--track'？"),
        (["level", "list", "--track"], "选项 '--track' 需要 1 个值。"),
        (["level", "list", "--track=a", "--bogus"], "没有选项 '--bogus'。"),
        (["cluster", "up", "--bare=3"], "选项 '--bare' 不带值。"),
        (["bogus"], "没有命令 'bogus'。"),
    ],
)
def test_click_says_what_was_typed_amiss(arguments: list[str], words: str) -> None:
    spoken.teach_click()
    done = run(*arguments)
    assert done.exit_code == 2
    assert words in done.output
    is_chinese(done.output)
