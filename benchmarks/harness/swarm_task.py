"""A task as Docker lists it, with all the fields that one of ours has: its size is what is measured."""

from __future__ import annotations

from typing import Any

from reconciler.core import labels

__all__ = ["swarm_task"]


def swarm_task(number: int, service: int, nodes: int) -> dict[str, Any]:
    """The task of this number, of an instance of that service, on one of so many nodes."""
    name = f"service-{service:04}"
    return {
        "ID": f"{number:025}",
        "Version": {"Index": number},
        "CreatedAt": "2026-05-01T12:00:00.123456789Z",
        "UpdatedAt": "2026-05-01T12:00:02.123456789Z",
        "Labels": {},
        "Spec": {
            "ContainerSpec": {
                "Image": f"registry.example.com/{name}@sha256:{number:064}",
                "Labels": {
                    labels.SERVICE: name,
                    labels.ROLE: "web",
                    labels.REVISION: f"v2-{number:016}",
                    labels.PORT: "8000",
                },
                "Env": [f"NAME_{index}=a value of some length" for index in range(10)],
                "Privileges": {"NoNewPrivileges": True},
                "StopGracePeriod": 10_000_000_000,
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000},
            },
            "Resources": {"Limits": {"MemoryBytes": 268435456}, "Reservations": {}},
            "RestartPolicy": {"Condition": "any", "Delay": 1_000_000_000, "MaxAttempts": 0},
            "Placement": {},
            "Networks": [{"Target": f"{number:025}", "Aliases": ["web"]}],
            "ForceUpdate": 0,
        },
        "ServiceID": f"{number:025}",
        "Slot": 1,
        "NodeID": f"{number % nodes:025}",
        "Status": {
            "Timestamp": "2026-05-01T12:00:02.123456789Z",
            "State": "running",
            "Message": "started",
            "ContainerStatus": {"ContainerID": f"{number:064}", "PID": number, "ExitCode": 0},
            "PortStatus": {},
        },
        "DesiredState": "running",
        "NetworksAttachments": [
            {
                "Network": {
                    "ID": f"{number:025}",
                    "Version": {"Index": number},
                    "CreatedAt": "2026-05-01T12:00:00.123456789Z",
                    "UpdatedAt": "2026-05-01T12:00:00.123456789Z",
                    "Spec": {
                        "Name": f"vault-{name}_vault-net",
                        "Labels": {"com.docker.stack.namespace": f"vault-{name}"},
                        "DriverConfiguration": {"Name": "overlay"},
                        "Attachable": True,
                        "IPAMOptions": {"Driver": {"Name": "default"}},
                        "Scope": "swarm",
                    },
                    "DriverState": {
                        "Name": "overlay",
                        "Options": {"com.docker.network.driver.overlay.vxlanid_list": "4097"},
                    },
                    "IPAMOptions": {
                        "Driver": {"Name": "default"},
                        "Configs": [{"Subnet": "10.0.1.0/24", "Gateway": "10.0.1.1"}],
                    },
                },
                "Addresses": ["10.0.1.7/24"],
            }
        ],
    }
