"""Volumes: which folder of this machine stands behind each mount path of a container app."""

from collections.abc import Mapping
from pathlib import Path

from sidecar.localcloud.core.fields import Json, member, objects
from sidecar.localcloud.core.state import Resource, Store
from sidecar.localcloud.runtime.replicas import Unmountable


def mounts_of(store: Store, folder: Path, app: Resource, template: Json, layer: Path) -> Mapping[str, Path]:
    """Mount path → folder, for every volume mount of the template. Unmountable as the mount command would say it."""
    volumes = {volume["name"]: volume for volume in objects(template, "volumes")}
    found: dict[str, Path] = {}
    for container in [*(objects(template, "initContainers")), *template["containers"]]:
        for mount in objects(container, "volumeMounts"):
            volume: Json = volumes[mount["volumeName"]]
            base = _volume_folder(store, folder, app, volume, layer)
            relative = str(mount.get("subPath") or "").strip("/")
            target = (base / relative).resolve()
            if not target.is_relative_to(base.resolve()):
                raise Unmountable(f"subPath '{relative}' leaves the volume '{volume['name']}'")
            target.mkdir(parents=True, exist_ok=True)
            found[mount["mountPath"].rstrip("/") or "/"] = target
            found[mount["mountPath"]] = target
    return found


def _volume_folder(store: Store, folder: Path, app: Resource, volume: Json, layer: Path) -> Path:
    kind = str(volume.get("storageType") or "EmptyDir").lower()
    if kind == "azurefile":
        return _share(store, folder, app, str(volume.get("storageName") or ""))
    place = layer / "volumes" / volume["name"]
    place.mkdir(parents=True, exist_ok=True)
    if kind == "secret":
        secrets: Mapping[str, str] = member(app.private, "secrets")
        listed = volume.get("secrets") or [{"secretRef": name, "path": name} for name in secrets]
        for entry in listed:
            file = place / Path(str(entry.get("path") or entry["secretRef"])).name
            file.touch(mode=0o600)
            file.write_text(secrets.get(entry["secretRef"], ""))
    elif kind != "emptydir":
        raise Unmountable(
            f"volume '{volume['name']}': storage type '{volume.get('storageType')}' is not available here"
        )
    return place


def _share(store: Store, folder: Path, app: Resource, storage_name: str) -> Path:
    environment = str(app.properties.get("managedEnvironmentId"))
    storage = store.get(f"{environment}/storages/{storage_name}")
    if storage is None:
        raise Unmountable(f"the storage '{storage_name}' is not defined in the environment")
    azure: Json = member(storage.properties, "azureFile")
    account_name, share = str(azure.get("accountName")), str(azure.get("shareName"))
    source = f"//{account_name}.file.core.windows.net/{share}"
    account = next(
        (
            resource
            for resource in store
            if resource.type == "Microsoft.Storage/storageAccounts" and resource.name == account_name.lower()
        ),
        None,
    )
    if account is None:
        raise Unmountable(f"MountVolume.MountDevice failed: mount error: could not resolve address for {source}")
    refused = account.properties.get("allowSharedKeyAccess") is False
    if refused or storage.private.get("accountKey") not in account.private["keys"].values():
        # What mount.cifs says both for a wrong key and where the account allows no shared key at all.
        raise Unmountable(
            f"MountVolume.MountDevice failed for {source}: mount error(13): Permission denied\n"
            "Refer to the mount.cifs(8) manual page (e.g. man mount.cifs) and kernel log messages (dmesg)"
        )
    if store.get(f"{account.id}/fileServices/default/shares/{share}") is None:
        raise Unmountable(
            f"MountVolume.MountDevice failed for {source}: mount error(2): No such file or directory\n"
            "Refer to the mount.cifs(8) manual page (e.g. man mount.cifs) and kernel log messages (dmesg)"
        )
    return folder / "shares" / account.name.lower() / share.lower()
