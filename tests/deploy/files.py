"""What no schema says of the files in deploy/: `files.py kubernetes|compose|dockerfile|syscalls …`.

Prints what is wrong, one line each, and exits with 1 if something is.
"""

import json
import os
import re
import subprocess
import sys

import yaml

HERE = "deploy/kubernetes"
faults = []


def wrong(text):
    faults.append(text)


def documents(path):
    with open(path, encoding="utf-8") as file:
        return [one for one in yaml.safe_load_all(file) if one]


def kubernetes(out):
    """References between the manifests, and the restricted pod security standard."""
    kustomization = documents(f"{HERE}/kustomization.yaml")[0]
    listed = set(kustomization["resources"])
    found = {name for name in os.listdir(HERE) if name.endswith(".yaml")}
    found -= {"kustomization.yaml", "secret.example.yaml"}
    if listed != found:
        wrong(f"kustomization.yaml lists {sorted(listed)}, there are {sorted(found)}")
    every = [one for name in sorted(found) for one in documents(f"{HERE}/{name}")]
    by_kind = {}
    for one in every:
        by_kind.setdefault(one["kind"], []).append(one)
    for kind in ["StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor"]:
        if kind not in by_kind:
            wrong(f"there is no {kind}")
    stateful = by_kind["StatefulSet"][0]["spec"]
    template = stateful["template"]
    labels = template["metadata"]["labels"]
    pod = template["spec"]
    container = pod["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    services = {one["metadata"]["name"]: one for one in by_kind["Service"]}

    def selects(selector, have, what):
        if not selector or any(have.get(key) != value for key, value in selector.items()):
            wrong(f"{what} selects {selector}, the labels are {have}")

    selects(stateful["selector"]["matchLabels"], labels, "the StatefulSet")
    selects(by_kind["PodDisruptionBudget"][0]["spec"]["selector"]["matchLabels"], labels, "the PodDisruptionBudget")
    selects(by_kind["NetworkPolicy"][0]["spec"]["podSelector"]["matchLabels"], labels, "the NetworkPolicy")
    for name, service in services.items():
        selects(service["spec"]["selector"], labels, f"Service {name}")
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                wrong(f"Service {name}: no container port {port['targetPort']}")
    if stateful["serviceName"] not in services:
        wrong(f"no Service {stateful['serviceName']} for the StatefulSet")
    monitor = by_kind["ServiceMonitor"][0]["spec"]
    watched = [one for one in services.values() if all(
        one["metadata"]["labels"].get(key) == value for key, value in monitor["selector"]["matchLabels"].items())]
    if len(watched) != 1:
        wrong(f"the ServiceMonitor selects {len(watched)} Services")
    for endpoint in monitor["endpoints"]:
        if endpoint["port"] not in [port["name"] for one in watched for port in one["spec"]["ports"]]:
            wrong(f"the ServiceMonitor's port {endpoint['port']} is none of its Service")
    for rule in by_kind["NetworkPolicy"][0]["spec"]["ingress"]:
        for port in rule["ports"]:
            if port["port"] not in ports:
                wrong(f"the NetworkPolicy's port {port['port']} is none of the container")
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for probe, path in paths.items():
        asked = container[probe]["httpGet"]
        if asked["path"] != path or asked["port"] not in ports:
            wrong(f"{probe} asks {asked}")
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    own, shared = container["securityContext"], pod["securityContext"]
    if not (shared["runAsNonRoot"] and shared["runAsUser"] >= 1000):
        wrong("the pod may run as root")
    if shared["seccompProfile"]["type"] != "RuntimeDefault":
        wrong("no seccomp profile")
    if own["allowPrivilegeEscalation"] or own["capabilities"] != {"drop": ["ALL"]}:
        wrong("the container may gain privileges")
    if not own["readOnlyRootFilesystem"]:
        wrong("the root file system can be written")
    if shared["fsGroupChangePolicy"] != "OnRootMismatch":
        wrong("the vault would be opened to the group at each start")
    claims = {claim["metadata"]["name"] for claim in stateful["volumeClaimTemplates"]}
    volumes = claims | {volume["name"] for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    if set(mounts) != volumes:
        wrong(f"mounted {sorted(mounts)}, there are {sorted(volumes)}")
    if "/var/lib/capigate" not in [mounts[claim] for claim in claims]:
        wrong("the data is on no volume of its own")
    # the configuration, with secrets where this machine has them
    text = by_kind["ConfigMap"][0]["data"]["capigate.toml"]
    secret = documents(f"{HERE}/secret.example.yaml")[0]["stringData"]
    for name in re.findall(r"/etc/capigate/secrets/(\w+)", text):
        if name not in secret:
            wrong(f"the configuration wants {name}, which is not in the Secret")
    write(out, text.replace("/etc/capigate/secrets", out), secret)


def write(out, text, secrets):
    os.makedirs(out, exist_ok=True)
    for name, value in secrets.items():
        with open(f"{out}/{name}", "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            # two sources or pixels must not have one key
            file.write(f"{value}-{name}\n")
    with open(f"{out}/capigate.toml", "w", encoding="utf-8") as file:
        file.write(text)


def compose(out):
    """Hardening, secrets, and the configurations that the program is to read."""
    whole = documents("deploy/compose.yaml")[0]
    for name, service in whole["services"].items():
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            wrong(f"service {name} is not read-only, or keeps capabilities")
        if "no-new-privileges:true" not in service.get("security_opt", []):
            wrong(f"service {name} may gain privileges")
        build = service["build"]
        if not os.path.exists(os.path.join("deploy", build["context"], build["dockerfile"])):
            wrong(f"service {name}: no {build['dockerfile']}")
        for published in service.get("ports", []):
            if published.endswith(":9090") and not published.startswith("127.0.0.1:"):
                wrong(f"service {name} shows its admin address to everyone: {published}")
        for volume in service.get("volumes", []):
            if volume.split(":")[0] not in whole["volumes"]:
                wrong(f"service {name}: no volume {volume}")
    gateway = whole["services"]["gateway"]
    text = whole["configs"][gateway["configs"][0]["source"]]["content"]
    wanted = set(re.findall(r"/run/secrets/(\w+)", text))
    if not wanted == set(gateway["secrets"]) == set(whole["secrets"]):
        wrong(f"the configuration wants {sorted(wanted)}, the service has {gateway['secrets']}")
    write(out, text.replace("/run/secrets", out), {name: "example" for name in wanted})
    trial = whole["services"]["trial"]["environment"]
    with open(f"{out}/trial.env", "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in trial.items())
    with open(f"{out}/sandbox.args", "w", encoding="utf-8") as file:
        file.writelines(f"{word}\n" for word in whole["services"]["sandbox"]["command"])


def dockerfile(out):
    """What the last stage of the image has. Writes its variables, health check and start."""
    with open("deploy/Dockerfile", encoding="utf-8") as file:
        text = re.sub(r"^#.*\n", "", file.read(), flags=re.M).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    stages = [index for index, line in enumerate(lines) if line[0] == "FROM"]
    if len(stages) != 2:
        wrong(f"{len(stages)} stages, not 2")
    last = lines[stages[-1]:]
    has = {}
    for word, rest in last:
        has.setdefault(word, []).append(rest)
    for word in ["USER", "HEALTHCHECK", "ENTRYPOINT", "CMD", "STOPSIGNAL", "EXPOSE", "VOLUME", "WORKDIR"]:
        if word not in has:
            wrong(f"no {word}")
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", has["USER"][-1]):
        wrong(f"USER is {has['USER'][-1]}, not two numbers other than 0")
    if any("cargo" in rest or "gcc" in rest for rest in has["RUN"]):
        wrong("the last stage builds something")
    for word, rest in lines[:stages[-1]]:
        if word == "COPY" and rest.split()[0] != ".":
            wrong(f"copies only a part: {rest}")
    names = dict(pair.split("=", 1) for pair in has["ENV"][0].split())
    uid = has["USER"][-1].split(":")[0]
    stateful = [one for one in documents(f"{HERE}/statefulset.yaml") if one["kind"] == "StatefulSet"][0]
    if str(stateful["spec"]["template"]["spec"]["securityContext"]["runAsUser"]) != uid:
        wrong("Kubernetes runs it as another user than the image")
    os.makedirs(out, exist_ok=True)
    with open(f"{out}/image.env", "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in names.items())
    check = has["HEALTHCHECK"][-1].split(" CMD ", 1)[1]
    for name, value in [("health", check), ("start", None)]:
        words = json.loads(value) if value else json.loads(has["ENTRYPOINT"][-1]) + json.loads(has["CMD"][-1])
        with open(f"{out}/{name}.args", "w", encoding="utf-8") as file:
            file.writelines(f"{word}\n" for word in words)
    with open(f"{out}/user", "w", encoding="utf-8") as file:
        file.write(has["USER"][-1])


def syscalls(trace):
    """What the program does, as strace has seen it, against what the unit allows."""
    unit = {}
    with open("deploy/capigate.service", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.strip().partition("=")
            unit.setdefault(key, []).append(value)
    known = {}
    listing = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], check=True, capture_output=True, text=True)
    group = None
    for line in listing.stdout.splitlines():
        line = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if line.startswith("@"):
            group = line.strip()
            known[group] = set()
        elif group and line.strip() and not line.strip().startswith("#"):
            known[group].add(line.strip())

    def members(name):
        if not name.startswith("@"):
            return {name}
        return set().union(*(members(one) for one in known[name])) if known[name] else set()

    allowed = set()
    for value in unit["SystemCallFilter"]:
        taken = set().union(*(members(name) for name in value.lstrip("~").split()))
        allowed = allowed - taken if value.startswith("~") else allowed | taken
    if unit.get("ProcSubset") == ["pid"]:
        wrong("the time of the start, which alerts count restarts by, cannot be told without /proc/stat")
    families = set(unit["RestrictAddressFamilies"][0].split())
    called, started = set(), False
    with open(trace, encoding="utf-8", errors="replace") as file:
        for line in file:
            # what ran before the program was started is not its own
            started = started or bool(re.search(r'execve\("[^"]*/capigate",', line))
            call = re.match(r"\d+ +(\w+)\(", line)
            if not started or not call:
                continue
            called.add(call[1])
            if call[1] == "socket" and not any(f"({family}" in line for family in families):
                wrong(f"another family of sockets: {line.strip()}")
            if "PROT_EXEC" in line and ("PROT_WRITE" in line or call[1] == "mprotect"):
                wrong(f"memory that is written and run: {line.strip()}")
    if len(called) < 30:
        wrong(f"only {len(called)} kinds of calls were seen")
    # errors of these are expected: the program goes on without
    for name in sorted(called - allowed):
        wrong(f"the unit's SystemCallFilter forbids {name}")
    print(f"{len(called)} kinds of system calls, all of them allowed" if not faults else "")


if __name__ == "__main__":
    {"kubernetes": kubernetes, "compose": compose, "dockerfile": dockerfile, "syscalls": syscalls}[sys.argv[1]](sys.argv[2])
    print("\n".join(faults))
    sys.exit(bool(faults))
