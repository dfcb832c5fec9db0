"""Which references resolve, and how containerd says that the others do not."""

from __future__ import annotations

import base64
import importlib
import re

import pytest

from kuartui.embedded.images import library
from kuartui.embedded.images.described import IMAGE_EXAMPLE, load, load_config_map
from kuartui.embedded.images.library import catalogue, standins
from kuartui.embedded.images.programs.scripted import DescriptionError
from kuartui.embedded.images.reference import InvalidReference, parse
from kuartui.embedded.images.registry import Login, PullError, logins_of
from kuartui.embedded.node.runtime import Mount, Projected, Volume
from tests.embedded.containers import World


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("kuartui/checkout:1", "docker.io/kuartui/checkout:1"),
        ("index.docker.io/library/redis:7", "docker.io/library/redis:7"),
        ("registry.local:5000/a/b", "registry.local:5000/a/b:latest"),
        ("localhost/x:1", "localhost/x:1"),
        ("UPPER/x", "UPPER/x:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("gcr.io/kuar-demo/kuard-amd64@sha256:" + "a" * 64, "gcr.io/kuar-demo/kuard-amd64@sha256:" + "a" * 64),
    ],
)
def test_references_are_completed(text: str, full: str) -> None:
    assert str(parse(text)) == full


@pytest.mark.parametrize("text", ["UPPER:bad:tag", "Nginx", "a b", "", "x:", "nginx:1.27:x", "-x"])
def test_bad_references_are_refused(text: str) -> None:
    with pytest.raises(InvalidReference, match="invalid reference format"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Nginx:1.27", "invalid reference format: repository name (library/Nginx) must be lowercase"),
        ("kuartui/Web", "invalid reference format: repository name (kuartui/Web) must be lowercase"),
        ("registry.local/Web:1", "invalid reference format: repository name (Web) must be lowercase"),
        ("nginx:", "invalid reference format"),
        ("a" * 64, f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings"),
        ("a/" * 130 + "a", "repository name must not be more than 255 characters"),
    ],
)
def test_why_references_are_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidReference, match=f"^{re.escape(why)}$"):
        parse(text)


def test_every_repository_has_its_images() -> None:
    known = {
        "agnhost": "2.53",
        "nautilus": "1.7",
        "kitten": "1.7",
        "nginx-slim": "0.24",
        "redis": "e2e",
        "kuard": "blue",
        "controller": "v1.13.0",
        "jessie-dnsutils": "1.7",
        "dnsutils": "1.3",
        "echoserver": "1.10",
        "kubernetes-bootcamp": "v1",
        "hello-frontend": "1.0",
        "rollouts-demo": "blue",
        "gb-frontend": "v5",
        "gb-redis-follower": "v2",
        "xtrabackup": "1.0",
        "cluster-proportional-autoscaler": "1.8.4",
        "debian-base": "bookworm-v1.0.6",
        "kubernetes-zookeeper": "1.0-3.4.10",
    }
    shelf = catalogue()
    for repository, module in library.MODULES.items():
        importlib.import_module(f"kuartui.embedded.images.library.{module}")
        name = repository.rpartition("/")[2]
        tag = next((tag for start, tag in known.items() if name.startswith(start)), "")
        for candidate in filter(
            None, (tag, "latest", "1", "v1.13.1", "3.10", "v1.30.0", "v1.33.0", "1.29-4", "2.4.38-4", "1.14-4")
        ):
            try:
                image = shelf.pull(f"{repository}:{candidate}")
            except PullError:
                continue
            assert image.repository == repository
            assert module == "artifacts" or image.config.entrypoint or image.config.cmd  # those only hold files
            break
        else:
            pytest.fail(f"no tag of {repository} resolves")


def test_a_digest_finds_its_image() -> None:
    shelf = catalogue()
    blue = shelf.pull("gcr.io/kuar-demo/kuard-amd64:blue")
    assert shelf.pull(f"gcr.io/kuar-demo/kuard-amd64@{blue.digest}").tag == "blue"
    assert blue.digest != shelf.pull("gcr.io/kuar-demo/kuard-amd64:green").digest


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "nginx:nope",
            'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nginx:nope": failed to resolve '
            'reference "docker.io/library/nginx:nope": docker.io/library/nginx:nope: not found',
        ),
        (
            "nosuchimage",
            'failed to pull and unpack image "docker.io/library/nosuchimage:latest": failed to resolve '
            'reference "docker.io/library/nosuchimage:latest": pull access denied, repository does not exist or may require '
            "authorization: server message: insufficient_scope: authorization failed",
        ),
        (
            "gcr.io/kuar-demo/kuard-amd64:bleu",
            'rpc error: code = NotFound desc = failed to pull and unpack image "gcr.io/kuar-demo/kuard-amd64:bleu": failed to resolve '
            'reference "gcr.io/kuar-demo/kuard-amd64:bleu": gcr.io/kuar-demo/kuard-amd64:bleu: not found',
        ),
        (
            "registry.nowhere.example/x:1",
            'failed to pull and unpack image "registry.nowhere.example/x:1": failed to resolve reference '
            '"registry.nowhere.example/x:1": failed to do request: Head "https://registry.nowhere.example/v2/x/manifests/1": dial tcp: '
            "lookup registry.nowhere.example on 172.18.0.1:53: no such host",
        ),
        (
            "localhost:5000/x:1",
            'failed to pull and unpack image "localhost:5000/x:1": failed to resolve reference "localhost:5000/x:1": failed to do '
            'request: Head "https://localhost:5000/v2/x/manifests/1": dial tcp [::1]:5000: connect: connection refused',
        ),
        (
            "192.168.9.9/x:1",
            'rpc error: code = DeadlineExceeded desc = failed to pull and unpack image "192.168.9.9/x:1": failed to resolve reference '
            '"192.168.9.9/x:1": failed to do request: Head "https://192.168.9.9/v2/x/manifests/1": dial tcp 192.168.9.9:443: i/o timeout',
        ),
        (
            "ghcr.io/acme/x:1",
            'failed to pull and unpack image "ghcr.io/acme/x:1": failed to resolve reference "ghcr.io/acme/x:1": failed to authorize: '
            "failed to fetch anonymous token: unexpected status from GET request to "
            "https://ghcr.io/token?scope=repository%3Aacme%2Fx%3Apull&service=ghcr.io: 403 Forbidden",
        ),
        (
            "quay.io/acme/x:1",
            'failed to pull and unpack image "quay.io/acme/x:1": failed to resolve reference "quay.io/acme/x:1": '
            "unexpected status from HEAD request to https://quay.io/v2/acme/x/manifests/1: 401 UNAUTHORIZED",
        ),
    ],
)
def test_what_is_not_there(text: str, error: str) -> None:
    with pytest.raises(PullError) as failure:
        catalogue().pull(text)
    assert str(failure.value) == error


def test_stand_ins_have_programs() -> None:
    shelf = catalogue()
    for repository in standins.SERVERS:
        image = shelf.pull(f"{repository}:latest")
        assert image.config.cmd[0] in image.programs


PRIVATE = "kind: Registry\nspec: {host: 'club.local:5000', accounts: {bob: secret}}\n---\nkind: Image\nspec: {repository: 'club.local:5000/app', base: busybox}\n"


def test_a_private_registry_wants_a_login() -> None:
    shelf = catalogue()
    load(shelf, PRIVATE)
    for logins in ([], [Login("other:5000", "bob", "secret")]):
        with pytest.raises(PullError, match="failed to authorize: failed to fetch anonymous token: .*401 Unauthorized"):
            shelf.pull("club.local:5000/app", logins)
    with pytest.raises(PullError, match="failed to fetch oauth token: .*401 Unauthorized"):
        shelf.pull("club.local:5000/app", [Login("club.local:5000", "bob", "wrong")])
    assert shelf.pull("club.local:5000/app", [Login("https://club.local:5000/v2/", "bob", "secret")]).tag == "latest"


def test_logins_come_from_docker_configs() -> None:
    auth = base64.b64encode(b"bob:se:cret").decode()
    assert logins_of({"club.local:5000": {"auth": auth}}) == [Login("club.local:5000", "bob", "se:cret")]


async def test_a_described_image_runs(world: World) -> None:
    load(world.catalogue, IMAGE_EXAMPLE)
    image = world.catalogue.pull("registry.kuartui.local:5000/private/teller:2")
    container = await world.start("", found=image)
    await world.clock.settle()
    assert world.log(container) == "hello\n/app/serve: environment variable TOKEN is not set\n"
    assert container.exit is not None
    assert container.exit.code == 1
    key = Volume.projection({"key": Projected(b"k")}, world.clock.now())
    container = await world.start("", found=image, env={"TOKEN": "t"}, mounts=(Mount("/etc/teller", key),))
    assert world.log(container) == "hello\nteller 1.0 starting\n"
    assert (await world.exec(container, "wget", "-qO-", "http://localhost:8080/healthz"))[0] == 1
    await world.clock.advance(5)
    assert await world.exec(container, "wget", "-qO-", "http://localhost:8080/healthz") == (0, "ok\n", "")
    assert container.usage().memory_bytes >= 30 << 20
    await world.clock.advance(3600)
    assert container.exit is not None
    assert container.exit.code == 1


def test_an_image_may_be_based_on_another() -> None:
    shelf = catalogue()
    load(
        shelf,
        "kind: Image\nspec: {repository: shop/web, tags: [v1], base: 'nginx:1.27-alpine', files: {/usr/share/nginx/html/index.html: hello}}",
    )
    image = shelf.pull("shop/web:v1")
    assert image.files["/usr/share/nginx/html/index.html"].data == b"hello"
    assert image.config.cmd == ("nginx", "-g", "daemon off;")


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ("{repository: BAD}", "spec.repository"),
        ("{repository: a, base: nosuch}", "spec.base"),
        ("{repository: a, files: {relative: x}}", "spec.files[relative]"),
        ("{repository: a, files: {/../x: x}}", "spec.files[/../x]"),
        ("{repository: a, files: {/x: {mode: '9'}}}", "spec.files[/x].mode"),
        ("{repository: a, ports: [99999]}", "spec.ports"),
        ("{repository: a, entrypoint: sh}", "spec.entrypoint"),
        ("{repository: a, program: {path: x}}", "spec.program.path"),
        ("{repository: a, program: {path: /x, routes: [{path: /, cpu: soon}]}}", "spec.program.routes[0].cpu"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(spec: str, where: str) -> None:
    with pytest.raises(DescriptionError) as error:
        load(catalogue(), f"kind: Image\nspec: {spec}")
    assert error.value.where == where


def test_labelled_config_maps_carry_documents() -> None:
    shelf = catalogue()
    body = {
        "metadata": {"labels": {"kuartui.dev/images": "true"}},
        "data": {"good": PRIVATE, "bad": "kind: Pod\nspec: {}"},
    }
    assert load_config_map(shelf, body) == ["bad: kind: must be Image or Registry, not 'Pod'"]
    assert shelf.pull("club.local:5000/app", [Login("club.local:5000", "bob", "secret")])
    assert load_config_map(catalogue(), {"metadata": {}, "data": {"bad": "x"}}) == []


@pytest.mark.parametrize(
    ("reference", "like"),
    [
        ("registry.k8s.io/busybox:1.27.2", "busybox:1.27.2"),
        ("registry.k8s.io/busybox", "busybox:latest"),
        ("registry.k8s.io/nginx-slim:0.24", "nginx:1.27"),
        ("registry.k8s.io/e2e-test-images/nginx:1.14-4", "nginx:1.14"),
        ("registry.k8s.io/e2e-test-images/busybox:1.29-4", "busybox:1.36"),
        ("registry.k8s.io/redis:e2e", "redis:6"),
    ],
)
def test_images_of_the_documentation_are_others_by_their_own_name(reference: str, like: str) -> None:
    shelf = catalogue()
    image, original = shelf.pull(reference), shelf.pull(like)
    assert image.executables == original.executables
    assert image.config == original.config
    assert image.reference == str(parse(reference))
    with pytest.raises(PullError, match="not found"):
        shelf.pull(f"{parse(reference).repository}:nope")


async def test_hello_app_tells_its_version(world: World) -> None:
    hello = await world.start("gcr.io/google-samples/hello-app:2.0")
    box = await world.start("busybox:1.36", "sleep", "1000")
    assert "Version: 2.0.0" in (await world.sh(box, f"wget -qO- http://{hello.sandbox.ip}:8080"))[1]


async def test_relatives_of_red_hat_have_a_shell_and_say_who_they_are(world: World) -> None:
    exit_, log = await world.run("centos:7", "bash", "-c", "grep ^ID= /etc/os-release; apt-get update")
    assert (exit_.code, log.splitlines()[0]) == (127, 'ID="centos"')


@pytest.mark.parametrize(
    ("image", "mirror"),
    [
        ("debian", "deb.debian.org/debian bookworm"),
        ("ubuntu", "archive.ubuntu.com/ubuntu noble"),
        ("ubuntu:22.04", "archive.ubuntu.com/ubuntu jammy"),
        ("ubuntu:focal", "archive.ubuntu.com/ubuntu focal"),
    ],
)
async def test_apt_looks_for_the_mirror_of_its_release(world: World, image: str, mirror: str) -> None:
    container = await world.start(image, "sleep", "1000")
    code, out, err = await world.exec(container, "apt-get", "update")
    host = mirror.partition("/")[0]
    assert (code, out.splitlines()[0]) == (0, f"Ign:1 http://{mirror} InRelease")
    assert f"Err:2 http://{mirror}-updates InRelease\n  Temporary failure resolving '{host}'\n" in out
    assert err.endswith("W: Some index files failed to download. They have been ignored, or old ones used instead.\n")


async def test_packages_that_are_there_need_no_mirror(world: World) -> None:
    container = await world.start("nginx:1.27", "sleep", "1000")
    code, out, _ = await world.sh(container, "apt-get update; apt-get install -y curl")
    assert code == 0
    assert "curl is already the newest version" in out
    code, _, error = await world.sh(container, "apt install curl procps")
    assert code == 100
    assert error == "E: Unable to locate package procps\n"
    alpine = await world.start("nginx:1.27-alpine", "sleep", "1000")
    assert (await world.sh(alpine, "apk add --no-cache curl"))[0] == 0
    assert (await world.sh(alpine, "apk add bind-tools"))[0] == 1


@pytest.mark.parametrize(
    "image", ["ubuntu:bionic", "ubuntu:18.04", "debian:buster-slim", "debian:stable-slim", "debian:10"]
)
def test_older_releases_are_there_by_name_and_by_number(image: str) -> None:
    assert catalogue().pull(image).config.cmd
