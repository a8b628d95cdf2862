"""A real machine of a cluster: kubelet, containerd and runc in a network namespace, with mounts of
their own. Its pods have this namespace's network, as a machine's pods have the machine's.

The kubelet has a cgroup of its own, and sees files in place of the kernel's settings that it wants
to change: the kernel is this machine's.
"""

import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from support.kube_api import BIN, KubeCluster, bridge_of, ip
from support.leftovers import Leftover, noted
from support.waiting import poll_until
from umbel.kit import netns

_CGROUPS = Path("/sys/fs/cgroup")
_START_S = 120.0
_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
"""What the kubelet wants of the kernel."""
_CNI = '{"cniVersion":"0.4.0","name":"none","plugins":[{"type":"loopback"}]}'


@dataclass(kw_only=True)
class KubeMachine:
    """A machine. `stop` the kubelet, and `start` it again: pods live on meanwhile."""

    name: str
    address: str
    folder: Path
    namespace: str
    cluster: KubeCluster
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def socket(self) -> str:
        """containerd's."""
        return f"{self.folder}/containerd.sock"

    def start(self) -> None:
        """Run the kubelet."""
        self._run(
            "kubelet",
            f"{BIN}/kubelet",
            f"--config={self.folder}/kubelet.yaml",
            f"--kubeconfig={self.folder}/kubeconfig",
            f"--root-dir={self.folder}/kubelet",
            f"--cert-dir={self.folder}/pki",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
        )

    def stop(self) -> None:
        """As kill -9; its pods go on."""
        self._end("kubelet")

    def load(self, image: Path) -> None:
        """Have the image there."""
        words = ["ctr", "-a", self.socket, "-n", "k8s.io", "images", "import", str(image)]
        self._inside(*words)

    def pid(self, function_id: str) -> int:
        """The function's process; 0 while there is none."""
        wanted = f"--id\0{function_id}\0".encode()
        for pid in netns.pids((self.namespace,)):
            with suppress(OSError):
                if wanted in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return 0

    def said(self, program: str = "kubelet") -> str:
        """The end of what a program logged."""
        return (self.folder / f"{program}.log").read_text()[-6000:]

    def run_containerd(self) -> None:
        """Run it until it answers."""
        self._run("containerd", "containerd", "-c", f"{self.folder}/containerd.toml")
        _until(lambda: Path(self.socket).exists(), lambda: self.said("containerd"))

    def _run(self, program: str, *words: str) -> None:
        parent = self.processes.get("containerd")
        where = ["nsenter", f"--net=/run/netns/{self.namespace}"]
        if parent is None:
            mounts = [f"mount --bind {self.folder}/sys/{one} /proc/sys/{one}" for one in _SETTINGS]
            script = " && ".join([*mounts, "mount --make-rshared /", 'exec "$@"'])
            where += ["unshare", "-m", "--propagation", "private", "bash", "-c", script, "bash"]
        else:
            where += [f"--mount=/proc/{parent.pid}/ns/mnt"]
        with (self.folder / f"{program}.log").open("ab") as log:
            self.processes[program] = subprocess.Popen(
                [*where, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _inside(self, *words: str) -> None:
        parent = self.processes["containerd"].pid
        where = ["nsenter", f"--mount=/proc/{parent}/ns/mnt"]
        done = subprocess.run(
            [*where, *words], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr

    def _end(self, program: str) -> None:
        process = self.processes.pop(program, None)
        if process is not None:
            process.kill()
            process.wait()

    def end(self) -> None:
        """Nothing of it is left."""
        self._end("kubelet")
        Leftover(namespace=self.namespace).remove()
        self._end("containerd")
        for folder in sorted(_CGROUPS.glob(f"*/{self.namespace}"), reverse=True):
            for below in sorted(folder.rglob("*/"), reverse=True):
                with suppress(OSError):
                    below.rmdir()
            with suppress(OSError):
                folder.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def machine(
    cluster: KubeCluster, name: str, number: int, images: tuple[Path, ...]
) -> Iterator[KubeMachine]:
    """A machine of that name that has joined the cluster, with these images."""
    namespace = f"uk-{secrets.token_hex(3)}"
    folder = cluster.folder / namespace
    with ExitStack() as stack:
        stack.enter_context(noted(Leftover(namespace=namespace)))
        made = KubeMachine(
            name=name,
            address=f"{cluster.network}.{number}",
            folder=folder,
            namespace=namespace,
            cluster=cluster,
        )
        stack.callback(made.end)
        _configure(made)
        _connect(made)
        made.run_containerd()
        for image in images:
            made.load(image)
        made.start()
        _until(lambda: _is_ready(made), made.said)
        yield made


def _configure(made: KubeMachine) -> None:
    folder = made.folder
    for one in ("cni", "root", "state", "manifests"):
        (folder / one).mkdir(parents=True)
    for setting, value in _SETTINGS.items():
        (folder / "sys" / setting).parent.mkdir(parents=True, exist_ok=True)
        (folder / "sys" / setting).write_text(f"{value}\n")
    for controller in _CGROUPS.iterdir():
        if (controller / "cgroup.procs").exists():
            (controller / made.namespace).mkdir(exist_ok=True)
    (folder / "cni" / "none.conflist").write_text(_CNI)
    (folder / "kubeconfig").write_text(made.cluster.kubeconfig(made.cluster.node_tokens[made.name]))
    (folder / "containerd.toml").write_text(_containerd(folder))
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(made)))


def _containerd(folder: Path) -> str:
    return f"""version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "umbel.invalid/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{folder}/cni"
    bin_dir = "{folder}/cni"
"""


def _kubelet(made: KubeMachine) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": made.address,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{made.cluster.folder}/ca.pem"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{made.namespace}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{made.socket}",
        "podLogsDir": f"{made.folder}/logs",
        "volumePluginDir": f"{made.folder}/plugins",
        "resolvConf": "",
        "evictionHard": {"memory.available": "10Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "2s",
    }


def _connect(made: KubeMachine) -> None:
    namespace, outer = made.namespace, made.namespace.replace("-", "v")
    device = bridge_of(made.cluster)
    ip("netns", "add", namespace)
    ip("-n", namespace, "link", "set", "lo", "up")
    ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    ip("link", "set", outer, "master", device, "up")
    ip("-n", namespace, "address", "add", f"{made.address}/24", "dev", "eth0")
    ip("-n", namespace, "link", "set", "eth0", "up")
    ip("-n", namespace, "route", "add", "default", "via", made.cluster.address)


def _is_ready(made: KubeMachine) -> bool:
    assert made.processes["kubelet"].poll() is None, made.said()
    try:
        found = made.cluster.call("GET", f"/api/v1/nodes/{made.name}")
    except OSError:
        return False
    conditions = found["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _until(holds: Callable[[], bool], said: Callable[[], str]) -> None:
    poll_until(holds, within_s=_START_S, said=said)
