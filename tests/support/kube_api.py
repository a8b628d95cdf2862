"""A real Kubernetes API server with etcd, controllers and scheduler, on a bridge of its machines.
`make test-clouds` builds the programs from their sources (scripts/clouds).

    with cluster(folder) as running:
        running.kubeconfig(running.admin_token), running.network
"""

import base64
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from support.certificates import Authority, new_key_pem
from support.leftovers import Leftover, noted
from support.waiting import poll_while_running

ROOT = Path(__file__).parents[2]
BIN = Path(os.environ.get("UMBEL_CLOUDS", ROOT / "build" / "clouds")) / "bin"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
_TOOLS = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
}
_START_S = 120.0
_LOST_AFTER_S = 8
_LOOPS = {
    "kube-scheduler": (),
    "kube-controller-manager": (
        f"--node-monitor-grace-period={_LOST_AFTER_S}s",
        "--node-monitor-period=1s",
        "--controllers=node-lifecycle-controller,taint-eviction-controller,"
        "pod-garbage-collector-controller,serviceaccount-controller,garbage-collector-controller",
    ),
}
"""What runs over the API server; a machine that was not heard of for so long is not ready."""


def absent() -> str:
    """Why no cluster can run here; empty when one can."""
    if os.geteuid() != 0:
        return "not root: a cluster's machines cannot be made"
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    missing += [program for program in PROGRAMS if not (BIN / program).exists()]
    missing += [] if find_spec("lightkube") else ["lightkube"]
    return f"not there: {', '.join(missing)} (make test-clouds)" if missing else ""


ABSENT = absent()


@dataclass(kw_only=True)
class KubeCluster:
    """A cluster. `start` it again after `stop`: it has the same state and address."""

    folder: Path
    network: str
    authority: Authority
    port: int
    etcd: str = ""
    admin_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    node_tokens: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The API server's."""
        return f"{self.network}.1"

    @property
    def server(self) -> str:
        """Its URL."""
        return f"https://{self.address}:{self.port}"

    def kubeconfig(self, token: str, server: str = "") -> str:
        """A file that signs in with this token."""
        authority = base64.b64encode(self.authority.pem.encode()).decode()
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "there",
                "contexts": [{"name": "there", "context": {"cluster": "there", "user": "me"}}],
                "clusters": [
                    {
                        "name": "there",
                        "cluster": {
                            "server": server or self.server,
                            "certificate-authority-data": authority,
                        },
                    }
                ],
                "users": [{"name": "me", "user": {"token": token}}],
            }
        )

    def call(self, method: str, path: str, body: object = None, token: str = "") -> Any:
        """What the API server answers. Raises urllib's errors."""
        request = urllib.request.Request(
            f"{self.server}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={
                "Authorization": f"Bearer {token or self.admin_token}",
                "Content-Type": "application/json",
            },
        )
        context = ssl.create_default_context(cadata=self.authority.pem)
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return json.load(answer)

    def start(self) -> None:
        """Run the API server until it is ready."""
        folder, url = self.folder, self.etcd
        self.run(
            "kube-apiserver",
            f"--etcd-servers={url}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={self.port}",
            f"--tls-cert-file={folder}/server.pem",
            f"--tls-private-key-file={folder}/server.key",
            f"--client-ca-file={folder}/ca.pem",
            f"--token-auth-file={folder}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            f"--service-account-key-file={folder}/accounts.key",
            f"--service-account-signing-key-file={folder}/accounts.key",
            f"--service-account-issuer={self.server}",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--endpoint-reconciler-type=none",
            "--kubelet-preferred-address-types=InternalIP",
        )
        self._until_ready()

    def stop(self) -> None:
        """As kill -9: who is connected hears nothing."""
        self.end("kube-apiserver")

    def run(self, program: str, *words: str) -> None:
        """Run one of the programs."""
        path = BIN / program if (BIN / program).exists() else program
        with (self.folder / f"{program}.log").open("ab") as log:
            self.processes[program] = subprocess.Popen(
                [str(path), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def end(self, program: str) -> None:
        """Kill it."""
        process = self.processes.pop(program, None)
        if process is not None:
            process.kill()
            process.wait()

    def said(self, program: str) -> str:
        """The end of what a program logged."""
        return (self.folder / f"{program}.log").read_text()[-4000:]

    def _until_ready(self) -> None:
        def is_ready() -> bool:
            try:
                self.call("GET", "/api/v1/namespaces/default")
            except (OSError, ValueError):
                return False
            return True

        said = partial(self.said, "kube-apiserver")
        process = self.processes["kube-apiserver"]
        poll_while_running(is_ready, process, within_s=_START_S, said=said)


@contextmanager
def cluster(folder: Path, machines: tuple[str, ...]) -> Iterator[KubeCluster]:
    """A cluster whose machines of these names may join it."""
    device = f"uk{secrets.token_hex(3)}"
    with ExitStack() as stack:
        stack.enter_context(noted(Leftover(folder=str(folder))))
        folder.mkdir(parents=True)
        network = _unused_network()
        stack.enter_context(noted(Leftover(device=device)))
        ip("link", "add", device, "type", "bridge")
        stack.callback(Leftover(device=device).remove)
        ip("address", "add", f"{network}.1/24", "dev", device)
        ip("link", "set", device, "up")
        made = KubeCluster(
            folder=folder, network=network, authority=Authority(), port=_unused_port(f"{network}.1")
        )
        made.node_tokens = {name: secrets.token_urlsafe(24) for name in machines}
        stack.callback(_end, made)
        _write(made)
        _start_etcd(made)
        made.start()
        _prepare(made)
        for program, words in _LOOPS.items():
            usual = ("--leader-elect=false", "--secure-port=0")
            made.run(program, f"--kubeconfig={folder}/admin.yaml", *usual, *words)
        yield made


def _end(made: KubeCluster) -> None:
    for program in list(made.processes):
        made.end(program)
    shutil.rmtree(made.folder, ignore_errors=True)


def _write(made: KubeCluster) -> None:
    folder = made.folder
    certificate, key = made.authority.server(made.address)
    (folder / "ca.pem").write_text(made.authority.pem)
    (folder / "server.pem").write_text(certificate)
    (folder / "server.key").write_text(key)
    (folder / "accounts.key").write_text(new_key_pem())
    (folder / "admin.yaml").write_text(made.kubeconfig(made.admin_token))
    lines = [f"{made.admin_token},admin,admin,system:masters"]
    lines += [
        f"{token},system:node:{name},{name},system:nodes"
        for name, token in made.node_tokens.items()
    ]
    (folder / "tokens.csv").write_text("\n".join(lines) + "\n")


def _start_etcd(made: KubeCluster) -> None:
    made.etcd = f"http://127.0.0.1:{_unused_port('127.0.0.1')}"
    peer = f"http://127.0.0.1:{_unused_port('127.0.0.1')}"
    made.run(
        "etcd",
        f"--data-dir={made.folder}/etcd",
        f"--listen-client-urls={made.etcd}",
        f"--advertise-client-urls={made.etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    )


def _prepare(made: KubeCluster) -> None:
    """The namespace, and its service account, without waiting for the controller."""
    made.call("POST", "/api/v1/namespaces", {"metadata": {"name": "umbel"}})
    accounts = "/api/v1/namespaces/umbel/serviceaccounts"
    with suppress(urllib.error.HTTPError):  # it was made just now
        made.call("POST", accounts, {"metadata": {"name": "default"}})


def account(made: KubeCluster, name: str, rights: Mapping[str, list[dict[str, object]]]) -> str:
    """A token of a new service account in the namespace umbel, with these rules there (`Role`) and
    in the cluster (`ClusterRole`)."""
    made.call("POST", "/api/v1/namespaces/umbel/serviceaccounts", {"metadata": {"name": name}})
    for kind, rules in rights.items():
        at = "/namespaces/umbel" if kind == "Role" else ""
        path = f"/apis/rbac.authorization.k8s.io/v1{at}/{kind.lower()}"
        made.call("POST", f"{path}s", {"metadata": {"name": name}, "rules": rules})
        made.call(
            "POST",
            f"{path}bindings",
            {
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "umbel"}],
            },
        )
    asked: dict[str, object] = {"spec": {"expirationSeconds": 86400}}
    path = f"/api/v1/namespaces/umbel/serviceaccounts/{name}/token"
    token: str = made.call("POST", path, asked)["status"]["token"]
    return token


def _unused_network() -> str:
    """The first three numbers of a network that no device has an address in."""
    used = ip("-o", "-4", "address", "show")
    while f" {(network := f'10.219.{secrets.randbelow(256)}')}." in used:
        pass
    return network


def _unused_port(address: str) -> int:
    with socket.create_server((address, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def bridge_of(made: KubeCluster) -> str:
    """The device that the cluster's machines are at."""
    for line in ip("-o", "-4", "address", "show").splitlines():
        if f" {made.address}/" in line:
            return line.split()[1]
    raise AssertionError(f"no device has {made.address}")


@contextmanager
def more_address(made: KubeCluster) -> Iterator[str]:
    """One more address of the root namespace in the machines' network."""
    address, device = f"{made.network}.101", bridge_of(made)
    ip("address", "add", f"{address}/24", "dev", device)
    try:
        yield address
    finally:
        ip("address", "del", f"{address}/24", "dev", device)


def ip(*words: str) -> str:
    """What the program ip says."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout
