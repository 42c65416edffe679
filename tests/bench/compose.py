"""A compose file for the very containers that rcfed made: same images, mounts, limits and health checks."""

import json


def write(droplet):
    """Reads the containers that run on a droplet; returns the file's path."""
    names = droplet.docker("ps", "--format", "{{.Names}}")
    containers = json.loads(droplet.output(["docker", "inspect", *names]))
    services, volumes = {}, {}
    for container in containers:
        service = container["Config"]["Hostname"]
        services[service] = one(droplet, container, volumes)
    # What a careful person would write: a database is healthy before its client starts.
    for service, needs in {"rocketchat": ["mongodb"], "homeserver": ["postgres"]}.items():
        services[service]["depends_on"] = {need: {"condition": "service_healthy"} for need in needs}
    network = json.loads(droplet.output(["docker", "network", "inspect", "rcfed"]))[0]
    subnets = [{"subnet": part["Subnet"]} for part in network["IPAM"]["Config"]]
    default = {"name": "peer", "enable_ipv6": network["EnableIPv6"], "ipam": {"config": subnets}}
    text = {"name": "peer", "services": services, "volumes": volumes, "networks": {"default": default}}
    path = droplet.state / "bench-compose.json"
    path.write_text(json.dumps(text, indent=1).replace("$", "$$"))
    return path


def one(droplet, container, volumes):
    config, host = container["Config"], container["HostConfig"]
    image = json.loads(droplet.output(["docker", "image", "inspect", container["Image"]]))[0]
    mounts = []
    for mount in host.get("Mounts") or []:
        if mount["Type"] == "volume":
            volumes[mount["Source"]] = {"external": True, "name": mount["Source"]}
        mounts.append({"type": mount["Type"], "source": mount["Source"], "target": mount["Target"],
                       "read_only": mount.get("ReadOnly", False)})
    health = config.get("Healthcheck")
    second = 1_000_000_000
    made = {
        "image": image["RepoTags"][0],
        "container_name": container["Name"].strip("/"),
        "hostname": config["Hostname"],
        "entrypoint": config.get("Entrypoint"),
        "command": config.get("Cmd") or [],
        "user": config["User"],
        "environment": dict(pair.split("=", 1) for pair in config.get("Env") or []),
        "volumes": mounts,
        "ports": [f"{binding[0]['HostPort']}:{port.split('/')[0]}" for port, binding in (host["PortBindings"] or {}).items()],
        "cap_drop": ["ALL"],
        "cap_add": host.get("CapAdd") or [],
        "security_opt": host["SecurityOpt"],
        "read_only": host["ReadonlyRootfs"],
        "tmpfs": [f"{path}:{options}" for path, options in (host.get("Tmpfs") or {}).items()],
        "group_add": host.get("GroupAdd") or [],
        "restart": "unless-stopped",
        "healthcheck": {
            "test": health["Test"],
            # rcfed asks the servers themselves and waits for no interval; the peer gets the shortest one it can use.
            "interval": "1s",
            "timeout": f"{health['Timeout'] // second}s",
            "retries": 60,
        },
    }
    if made["image"].startswith("rcfed"):
        made["pull_policy"] = "never"
    return made
